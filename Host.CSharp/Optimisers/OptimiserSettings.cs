namespace Research.Host;

/// <summary>Which optimiser, with PyTorch's names and defaults.</summary>
public abstract record OptimiserSettings(double LearningRate, double WeightDecay)
{
    /// <summary>Stochastic gradient descent, with momentum when it is not 0.</summary>
    public sealed record Sgd(double LearningRate, double Momentum = 0, double WeightDecay = 0)
        : OptimiserSettings(LearningRate, WeightDecay);

    /// <summary>Adam (Kingma and Ba, 2015, algorithm 1).</summary>
    public sealed record Adam(
        double LearningRate = 1e-3, double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8, double WeightDecay = 0)
        : OptimiserSettings(LearningRate, WeightDecay);

    /// <summary>Adamax (Kingma and Ba, 2015, algorithm 2).</summary>
    public sealed record Adamax(
        double LearningRate = 2e-3, double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8, double WeightDecay = 0)
        : OptimiserSettings(LearningRate, WeightDecay);

    /// <summary>RMSprop without momentum, uncentred (Tieleman and Hinton, 2012).</summary>
    public sealed record RmsProp(
        double LearningRate = 1e-2, double Alpha = 0.99, double Epsilon = 1e-8, double WeightDecay = 0)
        : OptimiserSettings(LearningRate, WeightDecay);
}
