package salvage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"picket/config"
)

// A file is a block of text and the stream behind it, byte for byte: `tail -c +1025 FILE` is the stream.
//
//	picket salvage 1\n
//	{"master":…,"sha256":…}   spaces up to the end of the block   \n
//	stream
const (
	magic       = "picket salvage 1\n"
	headerBytes = 1024
	// Suffix ends the names of files.
	Suffix = ".salvage"
)

// ErrDamaged is what reading a file gives that is not what was written.
var ErrDamaged = errors.New("not a whole salvage file")

// Lost is a stretch of a server's history that the master has not.
type Lost struct {
	Master string      `json:"master"`
	Server config.Addr `json:"server"`
	Epoch  uint64      `json:"epoch"`  // of the present master
	ReplID string      `json:"replid"` // of the history
	From   int64       `json:"from"`   // offset of the first byte
	To     int64       `json:"to"`     // offset of the last one
}

// Size is its number of bytes.
func (l Lost) Size() int64 { return l.To - l.From + 1 }

// Header says what a file holds.
type Header struct {
	Lost
	Tally
	At  time.Time `json:"at"`
	Sum string    `json:"sha256"` // of the stream and this header without it
}

// seal sets the sum, from the hash of the stream.
func (h *Header) seal(stream hash.Hash) error {
	h.Sum = ""
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode the header: %w", err)
	}
	stream.Write(text)
	h.Sum = hex.EncodeToString(stream.Sum(nil))
	return nil
}

// encode makes the block.
func (h *Header) encode() ([]byte, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode the header: %w", err)
	}
	block := append([]byte(magic), text...)
	if len(block) >= headerBytes {
		return nil, fmt.Errorf("the header takes %d bytes, more than %d", len(block), headerBytes)
	}
	block = append(block, bytes.Repeat([]byte{' '}, headerBytes-len(block))...)
	block[headerBytes-1] = '\n'
	return block, nil
}

// ReadHeader reads the header of a file. The sum is not checked.
func ReadHeader(file io.ReaderAt, size int64) (Header, error) {
	block := make([]byte, headerBytes)
	if _, err := file.ReadAt(block, 0); err != nil && err != io.EOF {
		return Header{}, fmt.Errorf("read the header: %w", err)
	}
	text, found := bytes.CutPrefix(block, []byte(magic))
	if !found {
		return Header{}, fmt.Errorf("%w: it does not begin like one", ErrDamaged)
	}
	var h Header
	if err := json.Unmarshal(text, &h); err != nil {
		return Header{}, fmt.Errorf("%w: read the header: %w", ErrDamaged, err)
	}
	if again, err := h.encode(); err != nil || !bytes.Equal(again, block) {
		return Header{}, fmt.Errorf("%w: its header is not as it was written", ErrDamaged)
	}
	if h.From < 0 || h.To < h.From || h.Size() != size-headerBytes {
		return Header{}, fmt.Errorf("%w: offsets %d to %d in %d bytes", ErrDamaged, h.From, h.To, size-headerBytes)
	}
	return h, nil
}

// Stream is what a file holds behind its header.
func (h Header) Stream(file io.ReaderAt) io.Reader {
	return io.NewSectionReader(file, headerBytes, h.Size())
}

// Verify checks the sum.
func (h Header) Verify(file io.ReaderAt) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, h.Stream(file)); err != nil {
		return fmt.Errorf("read the stream: %w", err)
	}
	again := h
	if err := again.seal(sum); err != nil {
		return err
	}
	if again.Sum != h.Sum {
		return fmt.Errorf("%w: its checksum does not match", ErrDamaged)
	}
	return nil
}
