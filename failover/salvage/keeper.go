package salvage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/config/certs"
	"picket/consensus/vfs"
	"picket/monitor"
)

// ErrFull is what Keep gives when files take as much as they may.
var ErrFull = errors.New("salvage.max-bytes would be exceeded; move files away, or raise it")

// op is the operation's name on the disk.
const op = "SALVAGE"

// unfinished ends the name of what a crash may leave behind.
const unfinished = Suffix + ".tmp"

// maxCuts is how often one connection after another may be cut: each of the agents may fence the server, and its own more than once.
const maxCuts = 8

// Config says where a Keeper keeps what from whom.
type Config struct {
	FS       vfs.FS
	Dir      string                             // holds a directory for each master
	MaxBytes func() int64                       // of all files
	Settings func(master string) *config.Master // nil: it is not known
	Certs    *certs.Store                       // of TLS; may be nil
	Dial     Dial                               // nil: over the machine's network
	Now      func() time.Time
}

// Keeper writes files. One is written at a time.
type Keeper struct {
	cfg  Config
	turn chan struct{} // holds one element while a file is written
}

// NewKeeper makes a keeper; it touches nothing before Keep.
func NewKeeper(cfg Config) *Keeper { return &Keeper{cfg: cfg, turn: make(chan struct{}, 1)} }

// Keep writes what is lost to a file, and gives the file's header and its name below the directory. What was kept before is not fetched
// again. It ends with the context.
func (k *Keeper) Keep(ctx context.Context, l Lost) (Header, string, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return Header{}, "", fmt.Errorf("wait for another file: %w", ctx.Err())
	}
	name, err := nameOf(l)
	if err != nil {
		return Header{}, "", err
	}
	used, kept, err := k.survey(filepath.Join(k.cfg.Dir, name))
	switch {
	case err != nil:
		return Header{}, "", err
	case kept != nil && kept.Lost == l:
		return *kept, name, nil
	case used+headerBytes+l.Size() > k.cfg.MaxBytes():
		return Header{}, "", fmt.Errorf("%w: %d of %d bytes are taken", ErrFull, used, k.cfg.MaxBytes())
	}
	h, err := k.fetch(ctx, l, filepath.Join(k.cfg.Dir, name))
	return h, name, err
}

// nameOf gives a file's name. Within an epoch a history parts from the present master's in one place: a file of the same name
// holds the beginning of what is written over it.
func nameOf(l Lost) (string, error) {
	if l.Master == "" || l.Master == "." || l.Master == ".." || len(l.ReplID) < 8 || l.From < 0 || l.To < l.From {
		return "", fmt.Errorf("%+v can't be kept", l)
	}
	server := strings.NewReplacer("[", "", "]", "", ":", "_", "%", "_", "/", "_").Replace(string(l.Server))
	return filepath.Join(l.Master, fmt.Sprintf("%d-%s-%.8s%s", l.Epoch, server, l.ReplID, Suffix)), nil
}

// survey counts the bytes of all files but one, of which it gives the header; nil: there is none that is whole. It removes what a crash left
// behind of files that were never finished.
func (k *Keeper) survey(path string) (used int64, kept *Header, err error) {
	if err := k.cfg.FS.MkdirAll(op, filepath.Dir(path)); err != nil {
		return 0, nil, fmt.Errorf("make the directory: %w", err)
	}
	masters, err := k.cfg.FS.ReadDir(op, k.cfg.Dir)
	if err != nil {
		return 0, nil, fmt.Errorf("list %s: %w", k.cfg.Dir, err)
	}
	for _, master := range masters {
		dir := filepath.Join(k.cfg.Dir, master)
		names, err := k.cfg.FS.ReadDir(op, dir)
		if errors.Is(err, syscall.ENOTDIR) {
			continue // it is not ours
		}
		if err != nil {
			return 0, nil, fmt.Errorf("list %s: %w", dir, err)
		}
		for _, name := range names {
			size, header, err := k.look(filepath.Join(dir, name))
			if err != nil {
				return 0, nil, err
			}
			if filepath.Join(dir, name) == path {
				kept = header
			} else {
				used += size
			}
		}
	}
	return used, kept, nil
}

// look gives the size of a file, and its header if it is whole.
func (k *Keeper) look(path string) (size int64, h *Header, err error) {
	switch {
	case strings.HasSuffix(path, unfinished):
		return 0, nil, k.cfg.FS.Remove(op, path)
	case !strings.HasSuffix(path, Suffix):
		return 0, nil, nil // it is not ours
	}
	file, err := k.cfg.FS.Open(op, path)
	if err != nil {
		return 0, nil, fmt.Errorf("look at a file: %w", err)
	}
	defer file.Close()
	if size, err = file.Size(); err != nil {
		return 0, nil, fmt.Errorf("measure %s: %w", path, err)
	}
	if header, err := ReadHeader(file, size); err == nil {
		h = &header
	}
	return size, h, nil
}

// fetch gets the stretch from the server into a file.
func (k *Keeper) fetch(ctx context.Context, l Lost, path string) (Header, error) {
	settings := k.cfg.Settings(l.Master)
	if settings == nil {
		return Header{}, fmt.Errorf("no master %q is known to this agent", l.Master)
	}
	opts, err := monitor.RedisOptions(settings, l.Server, k.cfg.Certs)
	if err != nil {
		return Header{}, err
	}
	source, err := k.open(ctx, settings, opts, l)
	if err != nil {
		return Header{}, err
	}
	defer source.close()
	return k.write(Header{Lost: l, At: k.cfg.Now().UTC()}, io.LimitReader(source.in, l.Size()), path)
}

// open gives a source on which the stretch comes next. A connection is an ordinary client's until the server takes it for a replica's: an agent
// that fences the server at that moment cuts it with all others, and it is made again.
func (k *Keeper) open(ctx context.Context, settings *config.Master, opts *redis.Options, l Lost) (*source, error) {
	for cuts := 0; ; cuts++ {
		s, err := connect(ctx, settings, opts, k.cfg.Dial)
		if err == nil {
			if err = s.history(l.ReplID, l.From); err == nil {
				return s, nil
			}
			s.close()
		}
		wasCut := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
		if !wasCut || cuts == maxCuts || ctx.Err() != nil {
			return nil, err
		}
	}
}

// write makes a file of a stream: under its own name only when it is whole and durable.
func (k *Keeper) write(h Header, stream io.Reader, path string) (Header, error) {
	temp := strings.TrimSuffix(path, Suffix) + unfinished
	file, err := k.cfg.FS.Create(op, temp)
	if err != nil {
		return Header{}, fmt.Errorf("create a file: %w", err)
	}
	err = h.fill(file, stream)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = vfs.Publish(k.cfg.FS, op, temp, path)
	}
	if err != nil {
		_ = k.cfg.FS.Remove(op, temp) // else the next survey does
		return Header{}, err
	}
	return h, nil
}

// fill writes the stream, and then the header in front of it, and completes that.
func (h *Header) fill(file vfs.File, stream io.Reader) error {
	out := &tail{file: file, sum: sha256.New()}
	var err error
	if h.Tally, err = Count(io.TeeReader(stream, out), h.From, h.Size()); err != nil {
		return fmt.Errorf("copy the stream: %w", err)
	}
	if out.size != h.Size() {
		return fmt.Errorf("the stream ended after %d of %d bytes", out.size, h.Size())
	}
	if err := h.seal(out.sum); err != nil {
		return err
	}
	block, err := h.encode()
	if err == nil {
		err = file.Write(op, block, 0)
	}
	if err == nil {
		err = file.Sync(op)
	}
	return err
}

// tail appends to a file, behind its header.
type tail struct {
	file vfs.File
	sum  hash.Hash
	size int64
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	if err := t.file.Write(op, p, headerBytes+t.size); err != nil {
		return 0, err
	}
	t.size += int64(len(p))
	t.sum.Write(p)
	return len(p), nil
}
