/// Ticks of a logarithmic axis on which powers of ten are too rare to read values off.
module Research.Report.Ticks

open System

type Tick = { Value: float; Label: string }

/// Leading digits, from few to many; the first choice that gives enough ticks is taken.
let private digits = [
    [ 1.0; 2.0; 5.0 ]
    [ 1.0; 1.5; 2.0; 3.0; 5.0; 7.0 ]
    [ 1.0; 1.2; 1.5; 2.0; 2.5; 3.0; 4.0; 5.0; 6.0; 8.0 ]
]

let private enough = 4

/// At least three multiples of 1, 2 or 5 times a power of ten, as few as possible.
let private even (low: float) (high: float) (within: float -> bool) =
    let largest = int (ceil (log10 (high - low)))

    seq {
        for exponent in largest .. -1 .. largest - 3 do
            for digit in [ 5.0; 2.0; 1.0 ] do
                let step = digit * 10.0 ** float exponent
                let first, last = floor (low / step), ceil (high / step)
                [ first..last ] |> List.map (fun n -> n * step) |> List.filter within
    }
    |> Seq.find (fun values -> values.Length >= 3)

/// The values to mark between two positive ends; none where at least two powers of ten lie between them, or where the
/// ends are too close to tell apart.
let private values (low: float) (high: float) =
    let within value = value >= low * (1.0 - 1e-9) && value <= high * (1.0 + 1e-9)

    let multiples digits = [
        for exponent in floor (log10 low) .. ceil (log10 high) do
            for digit in digits do
                let value = digit * 10.0 ** exponent

                if within value then
                    value
    ]

    if not (low > 0.0 && high > low * (1.0 + 1e-4)) || (multiples [ 1.0 ]).Length > 1 then
        []
    else
        digits
        |> List.map multiples
        |> List.tryFind (fun values -> values.Length >= enough)
        |> Option.defaultWith (fun () -> even low high within)

/// `$1.5$`, `$20\,000$`, `$2\cdot10^{-6}$`.
let private label (value: float) =
    let text = Markup.coordinate value

    let mantissa =
        match text.IndexOf 'E' with
        | -1 -> text
        | end' -> text[.. end' - 1]

    let decimals =
        match mantissa.IndexOf '.' with
        | -1 -> 0
        | point -> mantissa.Length - 1 - point

    if mantissa.Length < text.Length then
        $"${Markup.scientific (1 + decimals) value}$"
    else
        $"${Markup.fixedPoint decimals value}$"

/// Ticks as plain numbers, in order, for an axis over the values that its series need it to show. Empty for a linear
/// axis and where powers of ten serve: the renderer's own ticks are then the better ones.
let ofAxis (axis: Axis) (shown: float seq) : Tick list =
    match axis.Scale with
    | Linear -> []
    | Logarithmic ->
        let positive =
            shown |> Seq.filter (fun value -> value > 0.0 && Double.IsFinite value) |> Seq.toArray

        let ends =
            match axis.Range with
            | Some ends -> Some ends
            | None when positive.Length > 0 -> Some(Array.min positive, Array.max positive)
            | None -> None

        match ends with
        | None -> []
        | Some(low, high) -> [ for value in values low high -> { Value = value; Label = label value } ]
