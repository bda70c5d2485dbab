package salvage

import (
	"errors"
	"hash/maphash"
	"io"
)

// maxKeys bounds how many different keys are told apart.
const maxKeys = 1 << 20

// Tally is what a stream holds.
type Tally struct {
	Commands int64 `json:"commands"` // but for the overhead
	// Keys are the different ones that they may write, in each database; one that is not known counts as another.
	Keys     int64 `json:"keys"`
	MoreKeys bool  `json:"more_keys,omitempty"` // than could be told apart
	Overhead int64 `json:"overhead"`            // commands of the stream itself
	// Undecoded is how many bytes at the end are no whole commands.
	Undecoded int64 `json:"undecoded,omitempty"`
}

// counter counts commands.
type counter struct {
	tally Tally
	seed  maphash.Seed
	keys  map[uint64]struct{} // hashes: keys may be long
}

func newCounter() *counter { return &counter{seed: maphash.MakeSeed(), keys: map[uint64]struct{}{}} }

func (n *counter) add(c *Command) {
	if c.Overhead() {
		n.tally.Overhead++
		return
	}
	n.tally.Commands++
	n.tally.MoreKeys = n.tally.MoreKeys || c.More > 0
	for _, key := range c.Keys() {
		id := maphash.Comparable(n.seed, struct {
			db   int
			text string
			size int64 // tells keys apart that are longer than what is kept of them
		}{c.DB, string(key.Text), key.Size})
		if _, known := n.keys[id]; !known && len(n.keys) == maxKeys {
			n.tally.MoreKeys = true
			continue
		}
		n.keys[id] = struct{}{}
	}
	n.tally.Keys = int64(len(n.keys))
}

// Count reads a stream of size bytes, which begins at offset from, to its end. Only a failure to read is an error: what can't be decoded is
// counted as such.
func Count(stream io.Reader, from, size int64) (Tally, error) {
	d := NewDecoder(stream, from, Counting)
	n := newCounter()
	for {
		c, err := d.Next()
		switch {
		case err == nil:
			n.add(&c)
			continue
		case errors.Is(err, ErrMalformed):
			_, err = io.Copy(io.Discard, d.in)
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			err = nil
		}
		n.tally.Undecoded = from + size - d.Whole()
		return n.tally, err
	}
}
