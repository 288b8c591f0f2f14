namespace XPlot.Plotly

open System
open System.Buffers
open System.Collections
open System.Collections.Generic
open System.Text
open System.Text.Json

/// The properties that were set, by their names in Plotly's JSON; the others are left to Plotly's defaults.
[<AbstractClass>]
type PlotlyObject() =
    let values = SortedDictionary<string, obj | null> StringComparer.Ordinal

    member internal _.Values = values
    member internal _.Set(name, value: 'a) = values[name] <- box value

    /// The value that was set. Raises KeyNotFoundException when none was.
    member internal _.Get<'a> name : 'a = unbox values[name]

/// Plotly's JSON from property values: numbers, text, sequences and objects.
module internal Json =
    /// JSON has no NaN and no infinity; Plotly shows null as a gap.
    let private number (json: Utf8JsonWriter) (value: float) =
        if Double.IsFinite value then
            json.WriteNumberValue value
        else
            json.WriteNullValue()

    let rec private write (json: Utf8JsonWriter) (value: obj | null) =
        match value with
        | null -> json.WriteNullValue()
        | :? string as text -> json.WriteStringValue text
        | :? bool as flag -> json.WriteBooleanValue flag
        | :? float as x -> number json x
        | :? float32 as x -> number json (float x)
        | :? PlotlyObject as object ->
            json.WriteStartObject()

            for pair in object.Values do
                json.WritePropertyName pair.Key
                write json pair.Value

            json.WriteEndObject()
        | :? IEnumerable as sequence ->
            json.WriteStartArray()

            for item in sequence do
                write json item

            json.WriteEndArray()
        | :? DateTime as time -> json.WriteStringValue time
        | :? IConvertible as convertible -> number json (convertible.ToDouble null)
        | other -> invalidArg "value" $"Plotly has no form for a {other.GetType().Name}"

    /// The default encoder leaves no '<' in text, so the result may stand inside a script element.
    let serialize (value: obj) =
        let buffer = ArrayBufferWriter<byte>()

        do
            use json = new Utf8JsonWriter(buffer)
            write json value

        Encoding.UTF8.GetString buffer.WrittenSpan
