/// What may stand at a path instead of the file that belongs there, and what a refusal must be.
module Research.Tests.Hostile

open System
open System.IO
open System.Runtime.InteropServices
open System.Threading
open Expecto
open Research.Host

[<DllImport("libc")>]
extern int private mkfifo([<MarshalAs(UnmanagedType.LPUTF8Str)>] string path, uint32 mode)

[<DllImport("libc")>]
extern int private setfsuid(uint32 user)

/// Runs on a thread of its own and fails when that does not end: a read of a pipe would wait for ever.
let endsSoon (body: unit -> unit) =
    let mutable failure: exn option = None

    let work () =
        try
            body ()
        with error ->
            failure <- Some error

    let thread = Thread(work, IsBackground = true)
    thread.Start()
    Expect.isTrue (thread.Join(TimeSpan.FromSeconds 60.0)) "it ends"
    failure |> Option.iter (fun error -> raise (Exception(error.Message, error)))

/// Runs as a user who may read what everybody may read: root may read everything.
let asNobody (body: unit -> unit) =
    endsSoon (fun () ->
        // For this thread alone; without the privilege to change it, it is somebody already.
        let before = setfsuid 65534u

        try
            body ()
        finally
            setfsuid (uint32 before) |> ignore)

/// The sentence of the user-facing error that an action ends in: one line without traces of the program's inside.
let sentenceOf (action: unit -> unit) : string =
    let error =
        try
            action ()
            None
        with error ->
            Some error

    match error with
    | Some(:? ResearchException as error) ->
        Expect.isFalse (error.Message.Contains '\n') $"it is one line: {error.Message}"
        Expect.stringEnds error.Message "." "it is a sentence"
        Expect.isFalse (error.Message.Contains "Exception") $"it speaks to a user: {error.Message}"
        error.Message
    | Some error -> failtest $"a sentence for the user was expected, not {error}"
    | None -> failtest "a sentence for the user was expected, and nothing was wrong"

/// Everything but a regular file with content, by name: how to put it at a path, and a part of the sentence about it.
let things: (string * (string -> unit) * string) list = [
    "nothing", ignore, "there is no such file"
    "a folder", (fun path -> Directory.CreateDirectory path |> ignore), "it is a folder"
    "a pipe", (fun path -> Expect.equal (mkfifo (path, 0o600u)) 0 "mkfifo"), "it is a pipe or a device"
    "a device", (fun path -> File.CreateSymbolicLink(path, "/dev/zero") |> ignore), "it is a pipe or a device"
    "a link to nothing",
    (fun path -> File.CreateSymbolicLink(path, path + ".gone") |> ignore),
    "it cannot be read (No such file or directory)"
    "a link to itself",
    (fun path -> File.CreateSymbolicLink(path, path) |> ignore),
    "it cannot be read (Too many levels of symbolic links)"
]

/// A file of so many bytes that takes no space.
let sparse (length: int64) (path: string) =
    use stream = File.Create path
    stream.SetLength length
