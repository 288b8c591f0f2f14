/// What a formula is made of, and what the control words of LaTeX's mathematics stand for.
module Research.Report.TexItems

/// How a letter looks.
type Face =
    | Italic
    | Upright
    | Bold
    | Blackboard
    | Calligraphic
    | Sans

type Item =
    | Letter of string * Face
    | Digits of string
    /// A sign that stands for itself: an operation, a relation, a bracket, punctuation.
    | Sign of string
    /// An upright name such as log, set off from its argument; whether a limit stands under it.
    | Operator of name: string * limits: bool
    /// A sum or product, whose limits stand over and under it, or an integral.
    | Large of string
    | Words of string
    /// Blank space in em.
    | Space of float
    | Superscript of Item list
    | Subscript of Item list
    | Fraction of above: Item list * below: Item list * small: bool
    | Root of Item list
    /// A mark over an argument: as a character of its own, and as one that combines with the letter before it.
    | Accent of mark: string * combining: string * Item list
    /// A bracket of a size in em; 0 grows with what it encloses.
    | Bracket of string * size: float
    | Group of Item list
    | Underbrace of Item list
    /// Rows of cells between two brackets, aligned at the first sign where there are several cells.
    | Rows of opening: string * Item list list list * closing: string

/// Control words that are signs, letters, spaces or names.
let symbols =
    dict [
        for name, letter in
            [
                "alpha", "α"
                "beta", "β"
                "gamma", "γ"
                "delta", "δ"
                "epsilon", "ϵ"
                "varepsilon", "ε"
                "eta", "η"
                "theta", "θ"
                "kappa", "κ"
                "lambda", "λ"
                "mu", "μ"
                "nu", "ν"
                "xi", "ξ"
                "pi", "π"
                "rho", "ρ"
                "sigma", "σ"
                "tau", "τ"
                "phi", "ϕ"
                "varphi", "φ"
                "chi", "χ"
                "psi", "ψ"
                "omega", "ω"
                "ell", "ℓ"
                "partial", "∂"
            ] do
            name, Letter(letter, Italic)
        for name, letter in
            [
                "Delta", "Δ"
                "Lambda", "Λ"
                "Sigma", "Σ"
                "Phi", "Φ"
                "Psi", "Ψ"
                "Omega", "Ω"
                "infty", "∞"
                "nabla", "∇"
            ] do
            name, Letter(letter, Upright)
        for name, sign in
            [
                "pm", "±"
                "times", "×"
                "cdot", "·"
                "odot", "⊙"
                "circ", "∘"
                "ast", "∗"
                "le", "≤"
                "leq", "≤"
                "ge", "≥"
                "geq", "≥"
                "ne", "≠"
                "neq", "≠"
                "approx", "≈"
                "sim", "∼"
                "in", "∈"
                "to", "→"
                "gets", "←"
                "mapsto", "↦"
                "dots", "…"
                "ldots", "…"
                "cdots", "⋯"
                "{", "{"
                "}", "}"
                "|", "‖"
                "%", "%"
            ] do
            name, Sign sign
        for name, sign in [ "sum", "∑"; "prod", "∏"; "int", "∫" ] do
            name, Large sign
        for name, width in
            [ ",", 0.17; ":", 0.22; ";", 0.28; " ", 0.33; "!", -0.17; "quad", 1.0; "qquad", 2.0 ] do
            name, Space width
        for name in [ "log"; "exp"; "sin"; "cos"; "tanh"; "det" ] do
            name, Operator(name, false)
        for name in [ "min"; "max"; "lim" ] do
            name, Operator(name, true)
    ]

/// Control words that set a letter in a face.
let faces =
    dict [
        "mathrm", Upright
        "mathbf", Bold
        "mathbb", Blackboard
        "mathcal", Calligraphic
        "mathsf", Sans
    ]

/// Marks over letters: as a character of its own, and as one that combines with the letter before it.
let accents =
    dict [
        "hat", ("^", "\u0302")
        "widehat", ("^", "\u0302")
        "bar", ("¯", "\u0304")
        "tilde", ("~", "\u0303")
    ]

/// Control words that are brackets.
let brackets =
    dict [
        "lvert", "|"
        "rvert", "|"
        "lVert", "‖"
        "rVert", "‖"
        "langle", "⟨"
        "rangle", "⟩"
        "|", "‖"
        "{", "{"
        "}", "}"
    ]

/// Sizes in em of the brackets that `\big` and its relatives make.
let sizes =
    dict [
        for kind, size in [ "big", 1.2; "Big", 1.8; "bigg", 2.4; "Bigg", 3.0 ] do
            for side in [ ""; "l"; "r" ] do
                kind + side, size
    ]

/// Words that say where a row breaks or how it is spaced, which means nothing here.
let ignored = set [ "displaystyle"; "nonumber"; "limits"; "mathopen"; "mathclose"; "mathop" ]
