/// Every row of the contents table: what the report must answer, and by what.
module Research.Experiments.Registry

/// Rows that are computed.
let experiments: Experiment list =
    List.concat [
        Ift.BinarizedMnist.experiments
        Cs.Mnist.experiments
        Nora.GradientVariance.experiments
        Uva.FloatingPoint.experiments
    ]
