/// Core as a package: packed, restored from a folder into an empty project, and used there.
module Research.Tests.PackageTests

open System
open System.Diagnostics
open System.IO
open System.IO.Compression
open Expecto
open Research.Tests.Repository

let private dotnet (folder: string) (arguments: string list) : string =
    let info = ProcessStartInfo("dotnet", arguments)
    info.WorkingDirectory <- folder
    info.RedirectStandardOutput <- true
    info.RedirectStandardError <- true
    // Without a server that outlives the test.
    info.Environment["MSBUILDDISABLENODEREUSE"] <- "1"
    use child = Process.Start info |> nonNull
    let errors = child.StandardError.ReadToEndAsync()
    let output = child.StandardOutput.ReadToEnd()
    child.WaitForExit()
    Expect.equal child.ExitCode 0 $"dotnet {arguments.Head} ends well: {output}{errors.Result}"
    output

let private version = "1.0.0"

/// The packages that this machine has are taken from where they are, and nothing is added to them.
let private project (feed: string) =
    let cache =
        match Environment.GetEnvironmentVariable "NUGET_PACKAGES" with
        | null ->
            Path.Combine(
                Environment.GetFolderPath Environment.SpecialFolder.UserProfile,
                ".nuget",
                "packages"
            )
        | folder -> folder

    $"""<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <UseCurrentRuntimeIdentifier>true</UseCurrentRuntimeIdentifier>
    <CreateSymbolicLinksForCopyLocalIfPossible>true</CreateSymbolicLinksForCopyLocalIfPossible>
    <RestorePackagesPath>packages</RestorePackagesPath>
    <RestoreFallbackFolders>{cache}</RestoreFallbackFolders>
    <RestoreAdditionalProjectSources>{feed}</RestoreAdditionalProjectSources>
  </PropertyGroup>
  <ItemGroup>
    <Compile Include="Program.fs" />
    <PackageReference Include="Research.Core" Version="{version}" />
    <PackageReference Include="libtorch-cpu-linux-x64" Version="2.10.0" />
  </ItemGroup>
</Project>"""

let private program =
    """open TorchSharp
open Research.Core

let q = { Mu = torch.tensor [| 3.0; 4.0 |]; LogVar = torch.zeros (2L, dtype = torch.float64) }
printfn "KL = %g" ((klStandard q).ToDouble())
"""

[<Tests>]
let tests =
    testList "package" [
        testCase "package/used" (fun () ->
            inFolder (fun folder ->
                dotnet root [
                    "pack"
                    "Research.fsproj"
                    "-c"
                    "Release"
                    "--no-build"
                    "-o"
                    folder
                    "--nologo"
                ]
                |> ignore

                use package = ZipFile.OpenRead(Path.Combine(folder, $"Research.Core.{version}.nupkg"))
                let names = [ for entry in package.Entries -> entry.FullName ]

                for part in
                    [
                        "README.md"
                        "lib/net10.0/Research.Core.dll"
                        "lib/net10.0/Research.Core.xml"
                        "build/Research.Core.targets"
                    ] do
                    Expect.contains names part "the package holds it"

                let user = Path.Combine(folder, "user")
                Directory.CreateDirectory user |> ignore
                File.WriteAllText(Path.Combine(user, "User.fsproj"), project folder)
                File.WriteAllText(Path.Combine(user, "Program.fs"), program)
                let output = dotnet user [ "run"; "-c"; "Release"; "--project"; "User.fsproj" ]
                Expect.stringContains output "KL = 12.5" "and its mathematics runs"))
    ]
