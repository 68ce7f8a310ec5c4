"""C# by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
using System.Text;
using IO = System.IO;

namespace Shop.Engines
{
    /// <summary>One engine.</summary>
    [Serializable]
    public class Engine<T> : Base, IDisposable where T : class
    {
        private int size = 1;

        public int Size { get; set; }

        public int Power
        {
            get { return size * 2; }
        }

        public Engine(int size) : base(size)
        {
            this.size = size;
        }

        [Obsolete("x")]
        public async Task<int> Load(string path, int limit = 3)
        {
            int Twice(int x)
            {
                return x * 2;
            }
            return Twice(limit);
        }

        public int Half() => size / 2;

        struct Part { }
    }

    public interface ILoader { void Load(); }

    public record Point(int X, int Y);

    enum Kind { Steam, Diesel }
}
"""


def test_csharp_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "Engine.cs",
        definitions=[
            ("Engine", "public class Engine<T> : Base, IDisposable where T : class"),
            ("Engine.Size", "public int Size"),
            ("Engine.Power", "public int Power"),
            ("Engine.Engine", "public Engine(int size) : base(size)"),
            ("Engine.Load", "public async Task<int> Load(string path, int limit = 3)"),
            ("Engine.Load.Twice", "int Twice(int x)"),
            ("Engine.Half", "public int Half()"),
            ("Engine.Part", "struct Part"),
            ("ILoader", "public interface ILoader"),
            ("Point", "public record Point(int X, int Y)"),
            ("Kind", "enum Kind"),
        ],
        docs={
            "Engine": "/// <summary>One engine.</summary>",
        },
        parts=[
            "using System.Text;",
            "/// <summary>One engine.</summary>",
            "public interface ILoader { void Load(); }",
            "public record Point(int X, int Y);",
            "enum Kind { Steam, Diesel }",
        ],
        imports=["System.Text", "System.IO"],
    )
