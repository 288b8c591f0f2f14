namespace Research.Report

/// A quantity that was measured once per seed, as the report shows it.
module Seeds =
    /// Mean and standard error (Bessel's correction); the error is NaN with fewer than two.
    let meanSe (values: float seq) =
        let values = Seq.toArray values
        let n = float values.Length

        if values.Length = 0 then
            nan, nan
        else
            let mean = Array.average values

            if values.Length < 2 then
                mean, nan
            else
                let squares = values |> Array.sumBy (fun v -> (v - mean) * (v - mean))
                mean, sqrt (squares / (n - 1.0) / n)

    let mean (values: float seq) : float = fst (meanSe values)

    /// Mean and standard error.
    let cell decimals (values: float seq) : Cell =
        let mean, se = meanSe values
        MeanSe(mean, se, decimals)

    /// The same with up to two decimals more, where the error would be written as nought for its smallness alone.
    let resolved decimals (mean: float) (se: float) : Cell =
        let isWritten d = se >= 0.5 * 10.0 ** float -d

        let shown =
            if se > 0.0 then
                [ decimals .. decimals + 2 ] |> List.tryFind isWritten |> Option.defaultValue decimals
            else
                decimals

        MeanSe(mean, se, shown)

    /// A count: whole where all seeds agree.
    let counted (values: float seq) : Cell =
        match List.distinct (List.ofSeq values) with
        | [ count ] -> Number(count, 0)
        | _ -> cell 1 values

    /// Mean and standard error under an id of the text.
    let value id decimals (values: float seq) : Value = {
        Id = id
        Cell = meanSe values ||> resolved decimals
    }

    /// The means of the values at each x; their standard errors, where there are any, become a band.
    let line name (points: (float * float list) list) : Series =
        let summaries = [| for x, values in points -> x, meanSe values |]

        Line(
            name,
            [| for x, (mean, _) in summaries -> x, mean |],
            Some [| for _, (_, se) in summaries -> se |]
        )

    /// The mean of curves that share their abscissae.
    let curve (curves: (float * float)[] list) : (float * float)[] =
        curves.Head
        |> Array.mapi (fun i (x, _) -> x, curves |> List.averageBy (fun curve -> snd curve[i]))

    /// A point for each abscissa: the mean of the values there, with their standard error where there is one.
    let points name (points: (float * float list) list) : Series =
        let summaries = [| for x, values in points -> x, meanSe values |]

        ErrorBars(
            name,
            [| for x, (mean, _) in summaries -> x, mean |],
            [| for _, (_, se) in summaries -> if System.Double.IsNaN se then 0.0 else se |]
        )
