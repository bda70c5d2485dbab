package salvage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// stream makes bytes of lines that are written as in a Go string; a line without quotes is a command.
func stream(t *testing.T, lines string) []byte {
	t.Helper()
	var out []byte
	for line := range strings.SplitSeq(lines, "\n") {
		if strings.HasPrefix(line, `"`) {
			text, err := strconv.Unquote(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			out = append(out, text...)
			continue
		}
		out = append(out, encoded(strings.Fields(line)...)...)
	}
	return out
}

// encoded is a command as servers write it.
func encoded(words ...string) []byte {
	out := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		out = fmt.Appendf(out, "$%d\r\n%s\r\n", len(w), w)
	}
	return out
}

func TestDecode(t *testing.T) {
	datadriven.RunTest(t, "testdata/decode", func(t *testing.T, d *datadriven.TestData) string {
		from, limits := int64(1), Everything
		d.MaybeScanArgs(t, "from", &from)
		d.MaybeScanArgs(t, "args", &limits.Args)
		d.MaybeScanArgs(t, "bytes", &limits.Bytes)
		data := stream(t, d.Input)
		if d.Cmd == "count" {
			tally, err := Count(bytes.NewReader(data), from, int64(len(data)))
			return fmt.Sprintf("%+v %v\n", tally, err)
		}
		var out strings.Builder
		decoder := NewDecoder(bytes.NewReader(data), from, limits)
		for {
			c, err := decoder.Next()
			if err != nil {
				fmt.Fprintf(&out, "%v; whole up to %d\n", err, decoder.Whole())
				return out.String()
			}
			fmt.Fprintf(&out, "%d+%d db %d", c.Offset, c.Size, c.DB)
			for _, a := range c.Args {
				fmt.Fprintf(&out, " %q", a.Text)
				if a.Size != int64(len(a.Text)) {
					fmt.Fprintf(&out, "(%d)", a.Size)
				}
			}
			if c.More > 0 {
				fmt.Fprintf(&out, " and %d more", c.More)
			}
			out.WriteString("\n")
		}
	})
}

// FuzzDecode reads anything: it must end, within its bounds, and what it gives must be what was there.
func FuzzDecode(f *testing.F) {
	f.Add(append(encoded("SELECT", "3"), encoded("SET", "k", "value")...), 64, int64(64))
	f.Add(append(encoded("PING"), "*1\r\n$4\r\nPIN"...), 1, int64(2))
	f.Add([]byte("*9223372036854775807\r\n$9223372036854775807\r\nx"), 2, int64(1<<40))
	f.Add([]byte("*0\r\n*-1\r\n$1\r\n\n"), 0, int64(0))
	f.Add([]byte("+CONTINUE\r\n*1\r\n$0\r\n\r\n"), 9, int64(9))
	f.Fuzz(func(t *testing.T, data []byte, args int, keep int64) {
		const from = 100
		limits := Limits{max(1, args), max(64, keep)}
		d := NewDecoder(bytes.NewReader(data), from, limits)
		var again []byte
		for {
			at := d.Whole()
			c, err := d.Next()
			if err != nil {
				if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, ErrMalformed) {
					t.Fatal(err)
				}
				break
			}
			if c.Offset != at || c.Offset+c.Size != d.Whole() || len(c.Args) > limits.Args {
				t.Fatalf("%+v at %d, then at %d", c, at, d.Whole())
			}
			c.Keys()
			if !c.Whole() {
				return
			}
			words := make([]string, len(c.Args))
			for i, a := range c.Args {
				words[i] = string(a.Text)
			}
			if again = encoded(words...); int64(len(again)) == c.Size && !bytes.Equal(again, data[at-from:d.Whole()-from]) {
				t.Fatalf("%q became %q", data[at-from:d.Whole()-from], again)
			}
		}
		tally, err := Count(bytes.NewReader(data), from, int64(len(data)))
		if err != nil || tally.Undecoded < 0 || tally.Undecoded > int64(len(data)) {
			t.Fatalf("%+v, %v", tally, err)
		}
	})
}

// TestDecode_TakesNoMemoryForClaims: a length is believed only as its bytes come.
func TestDecode_TakesNoMemoryForClaims(t *testing.T) {
	claim := []byte("*2\r\n$3\r\nSET\r\n$536870912\r\nx")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const runs = 10
	for range runs {
		if _, err := NewDecoder(bytes.NewReader(claim), 1, Everything).Next(); err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if perRun := (after.TotalAlloc - before.TotalAlloc) / runs; perRun > 4*chunk {
		t.Errorf("%d bytes are allocated for a claim of half a gigabyte", perRun)
	}
}

func BenchmarkCount(b *testing.B) {
	data := bytes.Repeat(encoded("SET", "key:123456", "a value of some length"), 100_000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Count(bytes.NewReader(data), 1, int64(len(data))); err != nil {
			b.Fatal(err)
		}
	}
}
