package wal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"picket/consensus"
	"picket/consensus/vfs"
)

// A snapshot file is: magic and version 4, length of meta 4, meta, the state machine's bytes, and at the end
// their length 8 and a CRC-32C 4 of all before it. Its name orders it: snapshot-<index>-<term>, in
// hexadecimal.
const (
	snapshotMagic  = 0x504b5301 // "PKS", version 1
	snapshotPrefix = "snapshot-"
	temporary      = ".tmp" // ends the name of what is not finished
	taken          = "taken" + temporary
	incoming       = "incoming" + temporary
	maxMeta        = 1 << 20
	footerBytes    = 12
)

// snapshots keeps the current snapshot and the one that is coming in. Reading and writing may go on at the
// same time.
type snapshots struct {
	fs  vfs.FS
	dir string

	mu      sync.Mutex
	current string // path; empty: none
	meta    consensus.SnapshotMeta

	writer *snapshotWriter // of the incoming one
}

// snapshotWriter writes one file from front to back.
type snapshotWriter struct {
	file  vfs.File
	path  string
	final string // its name when it is finished
	off   int64
	data  int64 // offset of the state machine's bytes
	crc   hash.Hash32
}

// begin creates a file under a temporary name.
func (s *snapshots) begin(temp string, meta consensus.SnapshotMeta) (*snapshotWriter, error) {
	var encoded []byte
	if err := codec.NewEncoderBytes(&encoded, handle).Encode(meta); err != nil {
		return nil, fmt.Errorf("encode a snapshot's meta data: %w", err)
	}
	path := filepath.Join(s.dir, temp)
	file, err := s.fs.Create("SNAPSHOT", path)
	if err != nil {
		return nil, fmt.Errorf("create a snapshot: %w", err)
	}
	w := &snapshotWriter{file: file, path: path, final: s.path(meta), crc: crc32.New(castagnoli)}
	header := binary.LittleEndian.AppendUint32(nil, snapshotMagic)
	header = binary.LittleEndian.AppendUint32(header, uint32(len(encoded)))
	if _, err := w.Write(append(header, encoded...)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	w.data = w.off
	return w, nil
}

// Write appends.
func (w *snapshotWriter) Write(p []byte) (int, error) {
	if err := w.file.Write("SNAPSHOT", p, w.off); err != nil {
		return 0, fmt.Errorf("write a snapshot: %w", err)
	}
	w.off += int64(len(p))
	w.crc.Write(p)
	return len(p), nil
}

// finish makes the file durable under its final name, and the current snapshot.
func (s *snapshots) finish(w *snapshotWriter, meta consensus.SnapshotMeta) error {
	footer := binary.LittleEndian.AppendUint64(nil, uint64(w.off-w.data))
	footer = binary.LittleEndian.AppendUint32(footer, w.crc.Sum32())
	err := w.file.Write("SNAPSHOT", footer, w.off)
	if err == nil {
		err = w.file.Sync("SNAPSHOT")
	}
	if closeErr := w.file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	if err := vfs.Publish(s.fs, "SNAPSHOT", w.path, w.final); err != nil {
		return err
	}
	return s.adopt(w.final, meta)
}

// open finds the newest snapshot, checks it and removes what a crash left behind.
func (s *snapshots) open(fs vfs.FS, dir string) (consensus.SnapshotMeta, error) {
	s.fs, s.dir = fs, dir
	names, err := fs.ReadDir("OPEN", dir)
	if err != nil {
		return consensus.SnapshotMeta{}, fmt.Errorf("list the data directory: %w", err)
	}
	var whole, leftover []string
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, temporary):
			leftover = append(leftover, name)
		case strings.HasPrefix(name, snapshotPrefix):
			whole = append(whole, name)
		}
	}
	if len(whole) == 0 {
		return consensus.SnapshotMeta{}, s.remove(leftover)
	}
	newest := len(whole) - 1
	leftover = append(leftover, whole[:newest]...)
	path := filepath.Join(dir, whole[newest])
	r, err := openSnapshot(fs, path)
	if err != nil {
		return consensus.SnapshotMeta{}, fmt.Errorf("%w; %s", err, remedy)
	}
	defer r.Close()
	if err := r.verify(); err != nil {
		return consensus.SnapshotMeta{}, fmt.Errorf("%w; %s", err, remedy)
	}
	s.current, s.meta = path, r.meta
	return r.meta, s.remove(leftover)
}

// remove forgets files that nobody needs. That they are gone need not be durable.
func (s *snapshots) remove(names []string) error {
	for _, name := range names {
		if err := s.fs.Remove("OPEN", filepath.Join(s.dir, name)); err != nil {
			return fmt.Errorf("remove what a crash left behind: %w", err)
		}
	}
	return nil
}

// adopt makes a durable file the current snapshot and removes the other one; a reader that has it open keeps
// it.
func (s *snapshots) adopt(path string, meta consensus.SnapshotMeta) error {
	s.mu.Lock()
	obsolete := s.current
	if meta.Index < s.meta.Index {
		obsolete = path // a newer one was installed meanwhile
	} else {
		s.current, s.meta = path, meta
	}
	keep := s.current
	s.mu.Unlock()
	if obsolete == "" || obsolete == keep {
		return nil
	}
	if err := s.fs.Remove("SNAPSHOT", obsolete); err != nil {
		return fmt.Errorf("remove an old snapshot: %w", err)
	}
	return nil
}

func (s *snapshots) path(meta consensus.SnapshotMeta) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s%016x-%016x", snapshotPrefix, uint64(meta.Index), uint64(meta.Term)))
}

// abort gives up the incoming snapshot.
func (s *snapshots) abort() {
	if s.writer != nil {
		_ = s.writer.file.Close() // its content is given up
		s.writer = nil
	}
}

// WriteSnapshot stores a snapshot durably and makes it the current one. It may run while the log is written.
func (l *Log) WriteSnapshot(meta consensus.SnapshotMeta, write func(io.Writer) error) error {
	w, err := l.snaps.begin(taken, meta)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(w, 64<<10)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("take a snapshot: %w", err), w.file.Close())
	}
	return l.snaps.finish(w, meta)
}

// ReceiveChunk adds to the snapshot that is being received; a chunk at offset 0 starts anew.
func (l *Log) ReceiveChunk(chunk *consensus.SnapshotChunk) error {
	if l.err == nil {
		l.err = l.snaps.receive(chunk)
	}
	return l.err
}

func (s *snapshots) receive(chunk *consensus.SnapshotChunk) error {
	if chunk.Offset == 0 {
		s.abort()
		w, err := s.begin(incoming, chunk.Meta)
		if err != nil {
			return err
		}
		s.writer = w
	}
	w := s.writer
	if w == nil || w.final != s.path(chunk.Meta) || w.off-w.data != chunk.Offset {
		return fmt.Errorf("a chunk of snapshot %d at %d does not follow what was received", chunk.Meta.Index, chunk.Offset)
	}
	_, err := w.Write(chunk.Data)
	return err
}

// InstallReceived makes the received snapshot durable and current, and forgets the log unless it holds the
// snapshot's last entry: keep says so.
func (l *Log) InstallReceived(meta consensus.SnapshotMeta, keep bool) error {
	if l.err == nil {
		l.err = l.snaps.install(meta)
	}
	if l.err != nil || keep {
		return l.err
	}
	return l.save(batch{Reset: true, Base: meta.Index})
}

func (s *snapshots) install(meta consensus.SnapshotMeta) error {
	w := s.writer
	if w == nil || w.final != s.path(meta) {
		return fmt.Errorf("install snapshot %d: it was not received", meta.Index)
	}
	s.writer = nil
	return s.finish(w, meta)
}

// OpenSnapshot pins the current snapshot for reading. It is checked first: what the disk has damaged must not
// reach a state machine, nor a follower, which could not tell.
func (l *Log) OpenSnapshot() (consensus.SnapshotReader, error) {
	r, err := l.snaps.pin()
	if err != nil {
		return nil, err
	}
	if err := r.verify(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (s *snapshots) pin() (*snapshotReader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == "" {
		return nil, errors.New("open the snapshot: there is none")
	}
	return openSnapshot(s.fs, s.current)
}

// snapshotReader reads the state machine's bytes of one file.
type snapshotReader struct {
	*io.SectionReader
	file vfs.File
	path string
	meta consensus.SnapshotMeta
	data int64
}

func (r *snapshotReader) Meta() consensus.SnapshotMeta { return r.meta }
func (r *snapshotReader) Close() error                 { return r.file.Close() }

func openSnapshot(fs vfs.FS, path string) (*snapshotReader, error) {
	file, err := fs.Open("SNAPSHOT", path)
	if err != nil {
		return nil, fmt.Errorf("open a snapshot: %w", err)
	}
	r := &snapshotReader{file: file, path: path}
	if err := r.readHeader(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is damaged: %w", path, err), file.Close())
	}
	return r, nil
}

func (r *snapshotReader) readHeader() error {
	size, err := r.file.Size()
	if err != nil {
		return err
	}
	header := make([]byte, 8)
	if _, err := r.file.ReadAt(header, 0); err != nil {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(header[4:]))
	if binary.LittleEndian.Uint32(header) != snapshotMagic || length > maxMeta || 8+length+footerBytes > size {
		return errors.New("its header makes no sense")
	}
	encoded := make([]byte, length)
	if _, err := r.file.ReadAt(encoded, 8); err != nil && err != io.EOF {
		return err
	}
	if err := codec.NewDecoderBytes(encoded, handle).Decode(&r.meta); err != nil {
		return err
	}
	footer := make([]byte, footerBytes)
	if _, err := r.file.ReadAt(footer, size-footerBytes); err != nil && err != io.EOF {
		return err
	}
	r.data = 8 + length
	want := binary.LittleEndian.Uint64(footer)
	if want > math.MaxInt64 || r.data+int64(want)+footerBytes != size {
		return errors.New("its length makes no sense")
	}
	r.SectionReader = io.NewSectionReader(r.file, r.data, int64(want))
	return nil
}

// verify reads the whole file and compares its checksum.
func (r *snapshotReader) verify() error {
	end := r.data + r.Size()
	crc := crc32.New(castagnoli)
	if _, err := io.Copy(crc, io.NewSectionReader(r.file, 0, end)); err != nil {
		return fmt.Errorf("read %s: %w", r.path, err)
	}
	footer := make([]byte, footerBytes)
	if _, err := r.file.ReadAt(footer, end); err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", r.path, err)
	}
	if binary.LittleEndian.Uint32(footer[8:]) != crc.Sum32() {
		return fmt.Errorf("%s is damaged: its checksum is wrong", r.path)
	}
	return nil
}
