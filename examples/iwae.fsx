// The importance-weighted bound: -log (1/K) sum_k p(x,z_k)/q(z_k|x) with z_k ~ q(z|x).
// Source: Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders, eq. 8.
// See its row: ./research try examples/iwae.fsx
#load "research.fsx"

open Research.Core

/// K: the noise that the objective is given has the shape [K,B,L]; without this line it has [B,L].
let samples = 5

/// The loss is an upper bound of -log p(x): a law that is then tested too.
let isBound = true

let objective: Objective =
    fun model x eps ->
        let z, logQ = Posterior.sample (model.Encode x) eps
        let logWeights = model.LogLikelihood x z + model.Prior.LogProb z - logQ
        [ ("iwae", (logMeanExp 0L logWeights).mean().neg()) ]
