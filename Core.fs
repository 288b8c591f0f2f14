module Research.Core

open TorchSharp
