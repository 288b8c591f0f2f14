/// Which values an axis marks: round ones, as many as there is room for, none over another.
module Research.Report.Ticks

open System

type Tick = { Value: float; Label: string }

/// How long an axis is, in the size of its labels.
type Room =
    /// Labels stand beside each other: characters.
    | Along of characters: float
    /// Labels stand above each other: lines.
    | Across of lines: float

/// `$1.5$`, `$20\,000$`, `$2\cdot10^{-6}$`.
let label (value: float) =
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

let private plainTicks (values: float list) = [
    for value in values -> { Value = value; Label = label value }
]

/// Whether neighbours keep a distance; `position` is a share of the axis.
let private fits (room: Room) (position: float -> float) (ticks: Tick list) =
    let length, size =
        match room with
        | Along characters -> characters, (fun tick -> float (Markup.plain tick.Label).Length + 1.5)
        | Across lines -> lines, (fun _ -> 1.6)

    ticks
    |> List.pairwise
    |> List.forall (fun (a, b) -> length * (position b.Value - position a.Value) >= (size a + size b) / 2.0)

/// All multiples of the step between the ends. No multiple of 0.1 is 0.30000000000000004.
let private multiples (low: float) (high: float) (step: float) =
    let slack = 1e-9 * (high - low)

    [ ceil ((low - slack) / step) .. floor ((high + slack) / step) ]
    |> List.map (fun n -> Markup.significant (n * step))

/// Steps of 1, 2 or 5 times a power of ten, from fine to coarse: at most ten of them between the ends. Twice those for
/// short axes.
let private steps (low: float) (high: float) =
    let finest = int (floor (log10 ((high - low) / 10.0)))

    [
        for exponent in finest .. finest + 2 do
            for digit in [ 1.0; 2.0; 5.0 ] do
                digit * 10.0 ** float exponent
    ]
    |> List.filter (fun step -> (high - low) / step <= 10.0)
    |> fun steps -> steps @ (steps |> List.map (fun step -> 2.0 * step))

let private evenly low high = steps low high |> List.map (multiples low high >> plainTicks)

/// Leading digits, from few to many.
let private digits = [
    [ 1.0; 2.0; 5.0 ]
    [ 1.0; 1.5; 2.0; 3.0; 5.0; 7.0 ]
    [ 1.0; 1.2; 1.5; 2.0; 2.5; 3.0; 4.0; 5.0; 6.0; 8.0 ]
]

/// So many ticks are enough to read values off.
let private enough = 4

/// Powers of ten between the ends, every one or fewer. As plain numbers where none is longer than four digits.
let private powers (low: float) (high: float) =
    let first, last = int (ceil (log10 low - 1e-9)), int (floor (log10 high + 1e-9))
    let plain = first >= -2 && last <= 3

    [
        for step in [ 1; 2; 3; 4; 5; 10; 20 ] do
            [
                for exponent in first..last do
                    if exponent % step = 0 then
                        let value = 10.0 ** float exponent

                        { Value = value; Label = if plain then label value else $"$10^{{{exponent}}}$" }
            ]
    ]

/// Choices for a logarithmic axis, the best first: powers of ten where there are two, else digits, few before many, else
/// even steps.
let private logarithmic (low: float) (high: float) =
    let within value = value >= low * (1.0 - 1e-9) && value <= high * (1.0 + 1e-9)

    let ofDigits (digits: float list) =
        [
            for exponent in floor (log10 low) .. ceil (log10 high) do
                for digit in digits do
                    digit * 10.0 ** exponent
        ]
        |> List.filter within
        |> plainTicks

    if powers low high |> List.head |> List.length >= 2 then
        powers low high
    else
        let choices = digits |> List.map ofDigits

        (choices |> List.filter (fun ticks -> ticks.Length >= enough))
        @ (evenly low high |> List.filter (fun ticks -> ticks.Length < 7))
        @ List.rev choices

/// The values themselves where they are a few numbers of components, labels or samples.
let private chosen (axis: Axis) (shown: float list) =
    match List.distinct shown |> List.sort with
    | few when
        axis.Range.IsNone
        && few.Length >= 3
        && few.Length <= 6
        && few |> List.forall (fun value -> value = round value)
          ->
          [ plainTicks few ]
    | _ -> []

/// The ticks of an axis over the values that its series need it to show: the first choice that fits. Empty where
/// nothing spans an axis, so that the renderer decides.
let ofAxis (room: Room) (axis: Axis) (shown: float seq) : Tick list =
    let drawn value = Double.IsFinite value && (axis.Scale = Linear || value > 0.0)

    let ends =
        match axis.Range, shown |> Seq.filter drawn |> Seq.toArray with
        | Some ends, _ -> Some ends
        | None, [||] -> None
        | None, values -> Some(Array.min values, Array.max values)

    // Nothing stands between two epochs.
    let isCounted = shown |> Seq.forall (fun value -> value = round value)

    match ends, axis.Scale with
    | Some(low, high), Linear when high - low > 1e-3 * max (abs low) (abs high) ->
        evenly low high
        |> List.tryFind (fun ticks ->
            ticks.Length >= 2
            && (not isCounted || ticks |> List.forall (fun tick -> tick.Value = round tick.Value))
            && fits room (fun v -> (v - low) / (high - low)) ticks)
        |> Option.defaultValue []
    | Some(low, high), Logarithmic when low > 0.0 && high > low * (1.0 + 1e-4) ->
        let position value = log (value / low) / log (high / low)

        chosen axis (shown |> Seq.filter drawn |> List.ofSeq) @ logarithmic low high
        |> List.tryFind (fun ticks -> ticks.Length >= 2 && fits room position ticks)
        |> Option.defaultValue []
    | _ -> []
