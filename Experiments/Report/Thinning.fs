/// Long curves drawn with few points.
module Research.Report.Thinning

/// Which of the values to draw: in each of `limit / 2` equal stretches the
/// smallest and the largest, and both ends, so that no extreme is lost.
let indices (limit: int) (ys: float[]) =
    if ys.Length <= limit then
        [| 0 .. ys.Length - 1 |]
    else
        let buckets = (limit - 2) / 2

        [|
            yield 0
            for b in 0 .. buckets - 1 do
                let first = b * ys.Length / buckets
                let last = (b + 1) * ys.Length / buckets - 1
                let mutable low, high = first, first

                for i in first..last do
                    if ys[i] < ys[low] then
                        low <- i

                    if ys[i] > ys[high] then
                        high <- i

                yield min low high
                yield max low high
            yield ys.Length - 1
        |]
        |> Array.distinct
        |> Array.sort
