package salvage

import (
	"strings"
	"unicode/utf8"
)

// NoDB is the database of commands that stand before the first SELECT of a stream: it was selected before the stream begins.
const NoDB = -1

// Command is one command of a replication stream.
type Command struct {
	Offset int64 // of its first byte
	Size   int64 // in the stream
	DB     int   // NoDB: not known
	Args   []Arg // the name is the first; never empty
	More   int   // arguments that were left out
}

// Arg is an argument, or its beginning.
type Arg struct {
	Text []byte
	Size int64 // of the whole
}

// Name is what the command is called, in upper case.
func (c *Command) Name() string { return strings.ToUpper(string(c.Args[0].Text)) }

// Whole says whether all of the arguments are here.
func (c *Command) Whole() bool {
	for _, a := range c.Args {
		if int64(len(a.Text)) != a.Size {
			return false
		}
	}
	return c.More == 0
}

// Text says whether the arguments can be shown as text.
func (c *Command) Text() bool {
	for _, a := range c.Args {
		if !utf8.Valid(a.Text) {
			return false
		}
	}
	return true
}

// Overhead says whether a command belongs to the stream itself and changes no data.
func (c *Command) Overhead() bool {
	switch c.Name() {
	case "PING", "REPLCONF", "SELECT", "MULTI", "EXEC":
		return true
	}
	return false
}

// keyed says where the keys of a command are that it may write: the first, the last and the step from one to the next. Most commands
// have one, right behind the name.
type keyed struct{ first, last, step int }

// toEnd is the last argument.
const toEnd = 1 << 30

var (
	noKeys   = keyed{1, 0, 1}
	twoKeys  = keyed{1, 2, 1}
	allKeys  = keyed{1, toEnd, 1}
	oddKeys  = keyed{1, toEnd, 2}
	laterKey = keyed{2, 2, 1}
)

var keysOf = map[string]keyed{
	"DEL": allKeys, "UNLINK": allKeys, "MSET": oddKeys, "MSETNX": oddKeys,
	"RENAME": twoKeys, "RENAMENX": twoKeys, "RPOPLPUSH": twoKeys, "LMOVE": twoKeys, "SMOVE": twoKeys,
	"COPY": laterKey, "BITOP": laterKey, "XGROUP": laterKey,
	"FLUSHALL": noKeys, "FLUSHDB": noKeys, "SWAPDB": noKeys, "PUBLISH": noKeys, "SPUBLISH": noKeys,
	"SCRIPT": noKeys, "FUNCTION": noKeys, "EVAL": noKeys, "EVALSHA": noKeys, "FCALL": noKeys,
}

// Keys are those that the command may write.
func (c *Command) Keys() []Arg {
	if c.Overhead() {
		return nil
	}
	at, special := keysOf[c.Name()]
	if !special {
		at = keyed{1, 1, 1}
	}
	var keys []Arg
	for i := at.first; i <= at.last && i < len(c.Args); i += at.step {
		keys = append(keys, c.Args[i])
	}
	return keys
}
