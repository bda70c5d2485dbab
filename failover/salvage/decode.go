package salvage

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// ErrMalformed is what a stream gives that is no sequence of commands.
var ErrMalformed = errors.New("no command of a replication stream")

// Limits bound what is kept of a command. What is beyond them is counted, and left out.
type Limits struct {
	Args  int   // of a command
	Bytes int64 // of an argument
}

// Limits of different uses.
var (
	// Counting needs names and keys.
	Counting = Limits{1 << 16, 1 << 10}
	// Showing is for people.
	Showing = Limits{32, 100}
	// Everything is what servers allow in a command.
	Everything = Limits{1 << 20, 512 << 20}
)

// usual is how many arguments commands have at most, most of the time.
const usual = 6

// Decoder reads commands from a replication stream.
type Decoder struct {
	in     *bufio.Reader
	limits Limits
	offset int64 // of the next byte
	whole  int64 // of the byte behind the last whole command
	db     int
}

// NewDecoder reads a stream whose first byte has this offset.
func NewDecoder(stream io.Reader, from int64, limits Limits) *Decoder {
	return &Decoder{in: bufio.NewReaderSize(stream, 64<<10), limits: limits, offset: from, whole: from, db: NoDB}
}

// Whole is the offset behind the last whole command.
func (d *Decoder) Whole() int64 { return d.whole }

// Next gives the next command. It returns io.EOF at the end, io.ErrUnexpectedEOF when the stream ends within a command, and ErrMalformed
// when it can't go on.
func (d *Decoder) Next() (Command, error) {
	c := Command{Offset: d.offset, DB: d.db}
	count, err := d.header('*')
	if err != nil {
		if d.offset == c.Offset && err == io.ErrUnexpectedEOF {
			return c, io.EOF
		}
		return c, err
	}
	if count < 1 {
		return c, fmt.Errorf("%w at offset %d: it has %d arguments", ErrMalformed, c.Offset, count)
	}
	c.Args = make([]Arg, 0, min(count, usual))
	for i := range count {
		keep := d.limits.Bytes
		if i >= int64(d.limits.Args) {
			keep = 0
		}
		a, err := d.arg(keep)
		switch {
		case err != nil:
			return c, err
		case i >= int64(d.limits.Args):
			c.More++
		default:
			c.Args = append(c.Args, a)
		}
	}
	c.Size, d.whole = d.offset-c.Offset, d.offset
	d.selects(&c)
	return c, nil
}

// selects follows the database. A number that can't be read leaves it unknown.
func (d *Decoder) selects(c *Command) {
	if c.Name() != "SELECT" || len(c.Args) != 2 {
		return
	}
	db, err := strconv.Atoi(string(c.Args[1].Text))
	if err != nil || db < 0 {
		db = NoDB
	}
	d.db = db
	c.DB = db
}

// header reads a line: a sign and a number that is not negative.
func (d *Decoder) header(sign byte) (int64, error) {
	start := d.offset
	line, err := d.in.ReadSlice('\n')
	d.offset += int64(len(line))
	switch {
	case err == bufio.ErrBufferFull, len(line) > 0 && line[0] != sign:
		return 0, fmt.Errorf("%w at offset %d", ErrMalformed, start)
	case err != nil:
		return 0, torn(err)
	}
	return number(line, sign, start)
}

func number(line []byte, sign byte, start int64) (int64, error) {
	digits, ended := bytes.CutSuffix(line, []byte("\r\n"))
	if !ended || len(digits) < 2 || digits[0] != sign || digits[1] < '0' || digits[1] > '9' {
		return 0, fmt.Errorf("%w at offset %d", ErrMalformed, start)
	}
	n, err := strconv.ParseInt(string(digits[1:]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w at offset %d: its number is too large", ErrMalformed, start)
	}
	return n, nil
}

// arg reads an argument.
func (d *Decoder) arg(keep int64) (Arg, error) {
	size, err := d.header('$')
	if err != nil {
		return Arg{}, err
	}
	text, err := d.text(min(size, keep))
	if err != nil {
		return Arg{}, torn(err)
	}
	if rest := size - int64(len(text)); rest > 0 {
		n, err := io.CopyN(io.Discard, d.in, rest)
		d.offset += n
		if err != nil {
			return Arg{}, torn(err)
		}
	}
	for _, want := range []byte("\r\n") {
		b, err := d.in.ReadByte()
		if err != nil {
			return Arg{}, torn(err)
		}
		d.offset++
		if b != want {
			return Arg{}, fmt.Errorf("%w: the argument before offset %d does not end there", ErrMalformed, d.offset)
		}
	}
	return Arg{text, size}, nil
}

// chunk is how much memory is taken at once: more only as the bytes come, never for a length that is only claimed.
const chunk = 64 << 10

func (d *Decoder) text(size int64) ([]byte, error) {
	text := make([]byte, 0, min(size, chunk))
	for missing := size; missing > 0; missing = size - int64(len(text)) {
		text = slices.Grow(text, int(min(missing, chunk)))
		n, err := io.ReadFull(d.in, text[len(text):len(text)+int(min(missing, chunk))])
		text = text[:len(text)+n]
		d.offset += int64(n)
		if err != nil {
			return nil, err
		}
	}
	return text, nil
}

// torn is the end of a stream within a command.
func torn(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
