namespace Research.Report

/// Where results come from. Sections, claims and guards name it, so that no
/// number can be read without its data, profile and device.
type Origin = {
    /// smoke, quick or paper.
    Profile: string
    /// E.g. `MNIST`, `procedural stand-in`; empty when no data are involved.
    Data: string
    /// The data are drawn by a procedure, not the publisher's.
    StandIn: bool
    /// E.g. `CPU`, `NVIDIA A100`.
    Device: string
    /// Number of seeds behind every mean; 0 when nothing is random.
    Seeds: int
    /// How the protocol was shortened against the source's, e.g. `4 of 20 epochs`;
    /// `None` when it is the source's.
    Shortened: string option
}

module Origin =
    /// Why results from here prove nothing about the source; `None` when they may.
    let notComparable (origin: Origin) =
        if origin.StandIn then Some $"data: {origin.Data}"
        elif origin.Profile = "smoke" then Some "profile smoke"
        else origin.Shortened

    /// Whether sentences about these results are asserted.
    let assessed (origin: Origin) = not origin.StandIn && origin.Profile <> "smoke"

    /// One sentence for the head of a section,
    /// e.g. `Data: MNIST. Profile paper, 3 seeds, CPU.`
    let describe (origin: Origin) =
        let seeds =
            match origin.Seeds with
            | 0 -> ""
            | 1 -> ", 1 seed"
            | n -> $", {n} seeds"

        let shortened = origin.Shortened |> Option.map (fun s -> $"; {s}") |> Option.defaultValue ""
        let data = if origin.Data = "" then "" else $"Data: {origin.Data}. "
        $"{data}Profile {origin.Profile}{seeds}, {origin.Device}{shortened}."
