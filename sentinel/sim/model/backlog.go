package model

// backlog is the end of the replication stream, kept for replicas that come back.
type backlog struct {
	bytes []byte // the last size bytes of it are valid
	size  int
	first int64 // offset of the first valid byte; without one, of the next to come
}

// newBacklog begins with the byte behind offset.
func newBacklog(size int, offset int64) *backlog { return &backlog{size: size, first: offset + 1} }

func (b *backlog) valid() int { return min(len(b.bytes), b.size) }

// add appends to the stream. Twice the size is kept before anything is moved, so that moving is rare.
func (b *backlog) add(stream []byte) {
	before := b.valid()
	b.bytes = append(b.bytes, stream...)
	b.first += int64(before + len(stream) - b.valid())
	b.trim()
}

func (b *backlog) trim() {
	if len(b.bytes) > 2*b.size {
		n := copy(b.bytes, b.bytes[len(b.bytes)-b.size:])
		b.bytes = b.bytes[:n]
	}
}

// resize makes it larger or smaller. What was cut off is not found again.
func (b *backlog) resize(size int) {
	valid := b.bytes[len(b.bytes)-b.valid():]
	b.first += int64(len(valid) - min(len(valid), size))
	b.bytes = append([]byte(nil), valid[len(valid)-min(len(valid), size):]...)
	b.size = size
}

// holds says whether the stream can go on from offset.
func (b *backlog) holds(offset int64) bool {
	return offset >= b.first && offset <= b.first+int64(b.valid())
}

// from is the stream from offset on.
func (b *backlog) from(offset int64) []byte {
	return b.bytes[len(b.bytes)-int(b.first+int64(b.valid())-offset):]
}
