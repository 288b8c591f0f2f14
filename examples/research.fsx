// What a script needs in F# Interactive, once the project is built (any of ./test, ./reproduce, ./research builds it).
#r "../Experiments/bin/Release/net10.0/TorchSharp.dll"
#r "../Experiments/bin/Release/net10.0/Research.Core.dll"
#r "../Experiments/bin/Release/net10.0/Research.Host.dll"
#r "../Experiments/bin/Release/net10.0/Research.Report.dll"

Research.Host.TorchLibrary.Load()
