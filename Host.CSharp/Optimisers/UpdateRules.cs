using System.Numerics;

namespace Research.Host;

/// <summary>
/// What an optimiser does to one element, written once for a SIMD vector of elements. <paramref name="first"/> and
/// <paramref name="second"/> of Apply are the element's state, as far as the rule has one.
/// </summary>
internal interface IUpdateRule<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    void Apply(ref Vector<T> parameter, Vector<T> gradient, ref Vector<T> first, ref Vector<T> second);
}

/// <summary>b = momentum b + g; p -= rate b. With b = 0 before the first step this is PyTorch's b = g there.</summary>
internal readonly struct SgdRule<T>(double rate, double momentum, double decay) : IUpdateRule<T>
    where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly Vector<T> rate = new(T.CreateChecked(rate));
    private readonly Vector<T> momentum = new(T.CreateChecked(momentum));
    private readonly Vector<T> decay = new(T.CreateChecked(decay));

    public void Apply(ref Vector<T> parameter, Vector<T> gradient, ref Vector<T> first, ref Vector<T> second)
    {
        first = momentum * first + gradient + decay * parameter;
        parameter -= rate * first;
    }
}

/// <summary>
/// m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; p -= rate/(1-b1^t) m / (sqrt(v)/sqrt(1-b2^t) + eps).
/// </summary>
internal readonly struct AdamRule<T>(OptimiserSettings.Adam s, double rate, long t) : IUpdateRule<T>
    where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly Vector<T> beta1 = new(T.CreateChecked(s.Beta1)), rest1 = new(T.CreateChecked(1 - s.Beta1));
    private readonly Vector<T> beta2 = new(T.CreateChecked(s.Beta2)), rest2 = new(T.CreateChecked(1 - s.Beta2));
    private readonly Vector<T> step = new(T.CreateChecked(rate / (1 - Math.Pow(s.Beta1, t))));
    // A factor, since a division costs as much as the rest of the element.
    private readonly Vector<T> scale = new(T.CreateChecked(1 / Math.Sqrt(1 - Math.Pow(s.Beta2, t))));
    private readonly Vector<T> epsilon = new(T.CreateChecked(s.Epsilon)), decay = new(T.CreateChecked(s.WeightDecay));

    public void Apply(ref Vector<T> parameter, Vector<T> gradient, ref Vector<T> first, ref Vector<T> second)
    {
        gradient += decay * parameter;
        first = beta1 * first + rest1 * gradient;
        second = beta2 * second + rest2 * gradient * gradient;
        parameter -= step * first / (Vector.SquareRoot(second) * scale + epsilon);
    }
}

/// <summary>m = b1 m + (1-b1) g; n = max(b2 n, |g| + eps); p -= rate/(1-b1^t) m/n.</summary>
internal readonly struct AdamaxRule<T>(OptimiserSettings.Adamax s, double rate, long t) : IUpdateRule<T>
    where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly Vector<T> beta1 = new(T.CreateChecked(s.Beta1)), rest1 = new(T.CreateChecked(1 - s.Beta1));
    private readonly Vector<T> beta2 = new(T.CreateChecked(s.Beta2));
    private readonly Vector<T> step = new(T.CreateChecked(rate / (1 - Math.Pow(s.Beta1, t))));
    private readonly Vector<T> epsilon = new(T.CreateChecked(s.Epsilon)), decay = new(T.CreateChecked(s.WeightDecay));

    public void Apply(ref Vector<T> parameter, Vector<T> gradient, ref Vector<T> first, ref Vector<T> second)
    {
        gradient += decay * parameter;
        first = beta1 * first + rest1 * gradient;
        second = Vector.Max(beta2 * second, Vector.Abs(gradient) + epsilon);
        parameter -= step * first / second;
    }
}

/// <summary>v = a v + (1-a) g^2; p -= rate g / (sqrt(v) + eps).</summary>
internal readonly struct RmsPropRule<T>(OptimiserSettings.RmsProp s, double rate) : IUpdateRule<T>
    where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly Vector<T> alpha = new(T.CreateChecked(s.Alpha)), rest = new(T.CreateChecked(1 - s.Alpha));
    private readonly Vector<T> rate = new(T.CreateChecked(rate));
    private readonly Vector<T> epsilon = new(T.CreateChecked(s.Epsilon)), decay = new(T.CreateChecked(s.WeightDecay));

    public void Apply(ref Vector<T> parameter, Vector<T> gradient, ref Vector<T> first, ref Vector<T> second)
    {
        gradient += decay * parameter;
        first = alpha * first + rest * gradient * gradient;
        parameter -= rate * gradient / (Vector.SquareRoot(first) + epsilon);
    }
}
