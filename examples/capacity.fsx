// A divergence that is held at C nats instead of being made small: reconstruction + gamma |KL - C|.
// Source: Burgess et al. (2018), Understanding disentangling in beta-VAE, eq. 8.
// See its row: ./research try examples/capacity.fsx
#load "research.fsx"

open Research.Core

let gamma, capacity = 10.0, 12.0

let objective: Objective =
    fun model x eps ->
        let q = model.Encode x
        let z, _ = Posterior.sample q eps
        let kl = (klStandard q.Base).mean()

        [
            "reconstruction", (model.LogLikelihood x z).mean().neg()
            "capacity", gamma * (kl - capacity).abs()
        ]
