/// Colours that survive colour blindness and a grey printer.
module Research.Report.Colours

/// Okabe and Ito (2008): names as report.sty defines them, and hexadecimal values.
let palette = [|
    "report-blue", "#0072B2"
    "report-vermillion", "#D55E00"
    "report-green", "#009E73"
    "report-purple", "#CC79A7"
    "report-orange", "#E69F00"
    "report-sky", "#56B4E9"
    "report-black", "#000000"
|]

let colour (index: int) = palette[index % palette.Length]

/// Eleven equidistant colours of viridis (Smith and van der Walt, 2015).
let private viridis = [|
    68, 1, 84
    72, 36, 117
    65, 68, 135
    53, 95, 141
    42, 120, 142
    33, 145, 140
    34, 168, 132
    68, 191, 112
    122, 209, 81
    189, 223, 38
    253, 231, 37
|]

/// The colour at `t` in [0, 1]; values outside, and NaN, are clamped.
let viridisAt (t: float) =
    let t = if t > 0.0 then min t 1.0 else 0.0
    let position = t * float (viridis.Length - 1)
    let i = min (int position) (viridis.Length - 2)
    let f = position - float i
    let r0, g0, b0 = viridis[i]
    let r1, g1, b1 = viridis[i + 1]
    let mix a b = byte (float a + f * float (b - a) + 0.5)
    mix r0 r1, mix g0 g1, mix b0 b1
