package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"picket/consensus"
	"picket/consensus/vfs"
)

// Identity says whose log it is.
type Identity struct {
	Cluster string
	Server  consensus.ServerID
	// Founders is the membership with which the group began, as this server knew it at its own first start.
	Founders []consensus.Member
	// Incarnation tells this data directory from any other that the server may have had before: a random
	// number, made with the directory.
	Incarnation uint64
}

// found writes the identity at the first start, else compares it, and returns what is on disk. A directory that has an identity and
// nothing else has lost what it promised, or never promised anything: it gets another incarnation.
func found(cfg Config) (Identity, error) {
	path := filepath.Join(cfg.Dir, "identity")
	names, err := cfg.FS.ReadDir("IDENTITY", cfg.Dir)
	if err != nil {
		return Identity{}, fmt.Errorf("list the data directory: %w", err)
	}
	log := slices.ContainsFunc(names, func(name string) bool { return filepath.Ext(name) == ".log" })
	snapshot := slices.ContainsFunc(names, func(name string) bool {
		return strings.HasPrefix(name, snapshotPrefix) && filepath.Ext(name) != ".tmp"
	})
	if snapshot && !log {
		return Identity{}, fmt.Errorf("%s holds a snapshot, but no log; %s", cfg.Dir, remedy)
	}
	data, err := vfs.ReadFile(cfg.FS, "IDENTITY", path, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		if log {
			return Identity{}, fmt.Errorf("%s holds a log, but no identity; %s", cfg.Dir, remedy)
		}
		return writeIdentity(cfg, path)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read the identity: %w", err)
	}
	var have Identity
	payload, _, next, ok := frameAt(data, 0)
	if !ok || next != len(data) {
		return Identity{}, fmt.Errorf("%s is damaged; %s", path, remedy)
	}
	if err := codec.NewDecoderBytes(payload, handle).Decode(&have); err != nil {
		return Identity{}, fmt.Errorf("%s is not readable (%w); %s", path, err, remedy)
	}
	if have.Cluster != cfg.Identity.Cluster || have.Server != cfg.Identity.Server {
		return Identity{}, fmt.Errorf("%s belongs to agent %q of cluster %q, not to %q of %q: give this agent a data directory of its own",
			cfg.Dir, have.Server, have.Cluster, cfg.Identity.Server, cfg.Identity.Cluster)
	}
	if !log {
		return writeIdentity(cfg, path)
	}
	return have, nil
}

func writeIdentity(cfg Config, path string) (Identity, error) {
	id := cfg.Identity
	id.Founders = consensus.NewConfiguration(id.Founders...).Members
	for id.Incarnation == 0 {
		id.Incarnation = cfg.Rand()
	}
	var data []byte
	if err := codec.NewEncoderBytes(&data, handle).Encode(id); err != nil {
		return Identity{}, fmt.Errorf("encode the identity: %w", err)
	}
	if err := vfs.WriteAtomic(cfg.FS, "IDENTITY", path, appendFrame(nil, data, 0)); err != nil {
		return Identity{}, fmt.Errorf("store the identity: %w", err)
	}
	return id, nil
}
