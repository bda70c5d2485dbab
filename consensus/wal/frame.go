package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"picket/consensus"
)

const (
	frameMagic   = 0x504b4c01 // "PKL", version 1
	headerBytes  = 24
	trailerBytes = 8
	align        = 8
	// sector is what a disk writes whole, or not at all.
	sector = 512
	// maxFrame bounds what a length on disk can make recovery allocate.
	maxFrame = 64 << 20
	// keepBuffer is the largest encoding buffer that outlives its batch.
	keepBuffer = 1 << 20
)

// trailer ends each frame. Its last byte is not zero, nor can one flipped bit make it so: a frame that ends
// in zero was cut short.
const trailer = 0xf0c3a5965a3c0ff0

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var handle = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.StructToArray = true // no names on disk: fields may only be added at the end
	h.RawToString = true
	h.Canonical = true
	h.MaxInitLen = 1 << 16
	return h
}()

// batch is a frame's payload.
type batch struct {
	Hard    *consensus.HardState
	Entries []consensus.Entry
	// Reset: the log was replaced by a snapshot at Base; nothing before this frame counts.
	Reset bool
	// Base is the log's last index in front of this frame; with Reset, and where a segment begins.
	Base consensus.Index
}

// encoder turns batches into frames, reusing its buffers.
type encoder struct {
	batch   batch // so that none is allocated
	payload []byte
	frame   []byte
	enc     *codec.Encoder
}

// encode returns a frame that is valid until the next call.
func (e *encoder) encode(b *batch, sequence uint64) ([]byte, error) {
	if e.enc == nil {
		e.enc = codec.NewEncoderBytes(&e.payload, handle)
	}
	if cap(e.frame) > keepBuffer {
		e.frame, e.payload = nil, nil
	}
	e.batch, e.payload = *b, e.payload[:0]
	e.enc.ResetBytes(&e.payload)
	err := e.enc.Encode(&e.batch)
	e.batch = batch{} // it holds on to entries
	if err != nil {
		return nil, fmt.Errorf("encode a batch: %w", err)
	}
	if len(e.payload) > maxFrame {
		return nil, fmt.Errorf("encode a batch: %d bytes are more than a frame may hold (%d)", len(e.payload), maxFrame)
	}
	e.frame = appendFrame(e.frame[:0], e.payload, sequence)
	return e.frame, nil
}

// appendFrame appends to buf, whose length is a multiple of align.
func appendFrame(buf, payload []byte, sequence uint64) []byte {
	start := len(buf)
	buf = append(buf, make([]byte, headerBytes)...)
	buf = append(buf, payload...)
	for len(buf)%align != 0 {
		buf = append(buf, 0)
	}
	h := buf[start:]
	binary.LittleEndian.PutUint32(h, frameMagic)
	binary.LittleEndian.PutUint32(h[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(h[8:], sequence)
	binary.LittleEndian.PutUint32(h[16:], crc32.Checksum(h[:16], castagnoli))
	binary.LittleEndian.PutUint32(h[20:], crc32.Checksum(h[headerBytes:], castagnoli))
	return binary.LittleEndian.AppendUint64(buf, trailer)
}

// frameSize is what a payload of a length takes on disk.
func frameSize(length int) int {
	return headerBytes + (length+align-1)/align*align + trailerBytes
}

// headerAt reads the header at an offset of a segment's bytes: the payload's length and the frame's sequence
// number.
func headerAt(segment []byte, off int) (length int, sequence uint64, ok bool) {
	if off+headerBytes > len(segment) {
		return 0, 0, false
	}
	h := segment[off : off+headerBytes]
	length, sequence = int(binary.LittleEndian.Uint32(h[4:])), binary.LittleEndian.Uint64(h[8:])
	ok = binary.LittleEndian.Uint32(h) == frameMagic && length <= maxFrame &&
		binary.LittleEndian.Uint32(h[16:]) == crc32.Checksum(h[:16], castagnoli)
	return length, sequence, ok
}

// frameAt reads the frame at an offset of a segment's bytes: its payload, its sequence number and where the
// next one begins. ok is false when no whole frame stands there.
func frameAt(segment []byte, off int) (payload []byte, sequence uint64, next int, ok bool) {
	length, sequence, ok := headerAt(segment, off)
	next = off + frameSize(length)
	if !ok || next > len(segment) {
		return nil, 0, 0, false
	}
	body := segment[off+headerBytes : next-trailerBytes]
	if binary.LittleEndian.Uint32(segment[off+20:]) != crc32.Checksum(body, castagnoli) ||
		binary.LittleEndian.Uint64(segment[next-trailerBytes:]) != trailer {
		return nil, 0, 0, false
	}
	return body[:length], sequence, next, true
}

// laterFrame looks for a whole frame with at least the given sequence number.
func laterFrame(segment []byte, from int, sequence uint64) (int, bool) {
	for off := from; off+headerBytes <= len(segment); off += align {
		if binary.LittleEndian.Uint32(segment[off:]) != frameMagic {
			continue
		}
		if _, s, _, ok := frameAt(segment, off); ok && s >= sequence {
			return off, true
		}
	}
	return 0, false
}

// torn says whether what stands at an offset, where there is no whole frame, can be one that was being
// written when the machine or the process stopped. The space held zeros before. A machine leaves each sector
// as it was or writes it whole, so that one of the frame's is zero still; a process leaves the frame's
// beginning, and its end is zero.
func torn(segment []byte, off int, sequence uint64) bool {
	if behind := off + headerBytes; behind >= len(segment) || isZero(segment[behind:]) {
		return true
	}
	if hasBlankSector(segment, off, off+headerBytes) {
		return true
	}
	length, s, ok := headerAt(segment, off)
	if !ok || s != sequence {
		return false
	}
	end := off + frameSize(length)
	return end > len(segment) || segment[end-1] == 0 || hasBlankSector(segment, off, end)
}

// hasBlankSector says whether the part that some sector has in a range is zero.
func hasBlankSector(segment []byte, from, to int) bool {
	for from < to {
		end := min(from/sector*sector+sector, to)
		if isZero(segment[from:end]) {
			return true
		}
		from = end
	}
	return false
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func decodeBatch(payload []byte) (batch, error) {
	var b batch
	d := codec.NewDecoderBytes(payload, handle)
	if err := d.Decode(&b); err != nil {
		return batch{}, err
	}
	if d.NumBytesRead() != len(payload) {
		return batch{}, fmt.Errorf("%d bytes are left over", len(payload)-d.NumBytesRead())
	}
	return b, nil
}
