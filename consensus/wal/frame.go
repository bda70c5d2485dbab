package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"picket/consensus"
)

const (
	frameMagic  = 0x504b4c01 // "PKL", version 1
	headerBytes = 24
	align       = 8
	// maxFrame bounds what a length on disk can make recovery allocate.
	maxFrame = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var handle = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.StructToArray = true // no names on the wire: fields may only be added at the end
	h.RawToString = true
	h.Canonical = true
	return h
}()

// batch is a frame's payload.
type batch struct {
	Hard *consensus.HardState
	// Reset, if not 0: the log was replaced by a snapshot at this index; nothing before this frame counts.
	Reset   consensus.Index
	Entries []consensus.Entry
}

// encoder turns batches into frames, reusing its buffers.
type encoder struct {
	payload []byte
	frame   []byte
	enc     *codec.Encoder
}

func (e *encoder) encode(b *batch, sequence uint64) ([]byte, error) {
	if e.enc == nil {
		e.enc = codec.NewEncoderBytes(&e.payload, handle)
	}
	e.payload = e.payload[:0]
	e.enc.ResetBytes(&e.payload)
	if err := e.enc.Encode(b); err != nil {
		return nil, fmt.Errorf("encode a batch: %w", err)
	}
	if len(e.payload) > maxFrame {
		return nil, fmt.Errorf("encode a batch: %d bytes are more than a frame may hold (%d)", len(e.payload), maxFrame)
	}
	e.frame = append(e.frame[:0], make([]byte, headerBytes)...)
	e.frame = append(e.frame, e.payload...)
	for len(e.frame)%align != 0 {
		e.frame = append(e.frame, 0)
	}
	binary.LittleEndian.PutUint32(e.frame[0:], frameMagic)
	binary.LittleEndian.PutUint32(e.frame[4:], uint32(len(e.payload)))
	binary.LittleEndian.PutUint64(e.frame[8:], sequence)
	binary.LittleEndian.PutUint32(e.frame[16:], checksum(e.frame[:16], e.payload))
	return e.frame, nil
}

// checksum covers the header before it and the payload.
func checksum(header, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(header, castagnoli), castagnoli, payload)
}

// frameAt reads the frame at an offset of a segment's bytes: its payload, its sequence number and where the next one begins. ok is
// false when no whole frame stands there.
func frameAt(segment []byte, off int) (payload []byte, sequence uint64, next int, ok bool) {
	if off+headerBytes > len(segment) {
		return nil, 0, 0, false
	}
	h := segment[off:]
	length := int(binary.LittleEndian.Uint32(h[4:]))
	if binary.LittleEndian.Uint32(h) != frameMagic || length > maxFrame || off+headerBytes+length > len(segment) {
		return nil, 0, 0, false
	}
	payload = h[headerBytes : headerBytes+length]
	if binary.LittleEndian.Uint32(h[16:]) != checksum(h[:16], payload) {
		return nil, 0, 0, false
	}
	next = off + headerBytes + (length+align-1)/align*align
	return payload, binary.LittleEndian.Uint64(h[8:]), next, true
}

// laterFrame looks for a whole frame of a sequence number at or behind the given one.
func laterFrame(segment []byte, from int, sequence uint64) (int, bool) {
	for off := (from + align - 1) / align * align; off+headerBytes <= len(segment); off += align {
		if binary.LittleEndian.Uint32(segment[off:]) != frameMagic {
			continue
		}
		if _, s, _, ok := frameAt(segment, off); ok && s >= sequence {
			return off, true
		}
	}
	return 0, false
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
