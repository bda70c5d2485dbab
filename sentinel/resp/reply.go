package resp

import (
	"strconv"
	"time"

	"github.com/tidwall/redcon"

	"picket/sentinel/picture"
)

// reply encodes what is said to one client, in its version of the protocol.
type reply struct {
	buf   []byte
	resp3 bool
}

func (r *reply) ok()               { r.buf = redcon.AppendOK(r.buf) }
func (r *reply) simple(s string)   { r.buf = redcon.AppendString(r.buf, s) }
func (r *reply) bulk(s string)     { r.buf = redcon.AppendBulkString(r.buf, s) }
func (r *reply) integer(n int64)   { r.buf = redcon.AppendInt(r.buf, n) }
func (r *reply) array(length int)  { r.buf = redcon.AppendArray(r.buf, length) }
func (r *reply) error(text string) { r.buf = redcon.AppendError(r.buf, text) }

// mapping begins a map; in RESP2 it is an array of names and values in turn.
func (r *reply) mapping(pairs int) {
	if r.resp3 {
		r.header('%', pairs)
	} else {
		r.array(2 * pairs)
	}
}

// set begins what has no order; in RESP2 it is an array.
func (r *reply) set(length int) {
	if r.resp3 {
		r.header('~', length)
	} else {
		r.array(length)
	}
}

// push begins what is no answer to a command; in RESP2 it can't be told from one.
func (r *reply) push(length int) {
	if r.resp3 {
		r.header('>', length)
	} else {
		r.array(length)
	}
}

func (r *reply) header(kind byte, length int) {
	r.buf = strconv.AppendInt(append(r.buf, kind), int64(length), 10)
	r.buf = append(r.buf, "\r\n"...)
}

// null stands for a text that there is not.
func (r *reply) null() { r.nothing("$-1\r\n") }

// nullArray stands for a list that there is not.
func (r *reply) nullArray() { r.nothing("*-1\r\n") }

func (r *reply) nothing(resp2 string) {
	if r.resp3 {
		resp2 = "_\r\n"
	}
	r.buf = append(r.buf, resp2...)
}

func (r *reply) bulks(texts []string) {
	r.array(len(texts))
	for _, s := range texts {
		r.bulk(s)
	}
}

func (r *reply) bulkSet(texts []string) {
	r.set(len(texts))
	for _, s := range texts {
		r.bulk(s)
	}
}

func (r *reply) simpleSet(texts []string) {
	r.set(len(texts))
	for _, s := range texts {
		r.simple(s)
	}
}

// verbatim is text for people; in RESP2 it can't be told from other text.
func (r *reply) verbatim(s string) {
	if !r.resp3 {
		r.bulk(s)
		return
	}
	r.header('=', len("txt:")+len(s))
	r.buf = append(append(append(r.buf, "txt:"...), s...), "\r\n"...)
}

// double is a number with a fraction; in RESP2 it is a text.
func (r *reply) double(n float64) {
	text := strconv.FormatFloat(n, 'g', 17, 64)
	if !r.resp3 {
		r.bulk(text)
		return
	}
	r.buf = append(append(append(r.buf, ','), strconv.FormatFloat(n, 'g', -1, 64)...), "\r\n"...)
}

// cached writes how old a server's INFO is, and its text.
func (r *reply) cached(now time.Time, s *picture.Server) {
	r.array(2)
	if s.Last == nil {
		r.integer(0)
		r.null()
		return
	}
	r.integer(now.Sub(s.Last.At).Milliseconds())
	r.bulk(s.Last.Text)
}

// fields writes a map of texts.
func (r *reply) fields(f fields) {
	r.mapping(len(f))
	for _, pair := range f {
		r.bulk(pair.name)
		r.bulk(pair.value)
	}
}
