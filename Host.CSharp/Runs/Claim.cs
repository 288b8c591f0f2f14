namespace Research.Host;

/// <summary>What a process that wants to compute a run is told.</summary>
public abstract record Claim
{
    private Claim()
    {
    }

    /// <summary>The run is this process's to compute.</summary>
    public sealed record Taken(RunDirectory Run, Lease Lease) : Claim;

    /// <summary>The run is complete.</summary>
    public sealed record Complete : Claim;

    /// <summary>Another process computes it; null when that one has not said yet who it is.</summary>
    public sealed record Held(LeaseOwner? By) : Claim;

    /// <summary>Another process has tried it meanwhile, and it failed.</summary>
    public sealed record Failed(LeaseOwner By, string Reason) : Claim;
}
