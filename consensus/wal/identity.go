package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"picket/consensus"
	"picket/consensus/vfs"
)

// Identity says whose log it is.
type Identity struct {
	Cluster string
	Server  consensus.ServerID
	Voters  []consensus.ServerID // of the founding configuration
}

// found writes the identity at the first start, else compares it, and returns the founding voters.
func found(cfg Config) ([]consensus.ServerID, error) {
	path := filepath.Join(cfg.Dir, "identity")
	data, err := vfs.ReadFile(cfg.FS, "IDENTITY", path, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return writeIdentity(cfg, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	var have Identity
	if err := codec.NewDecoderBytes(data, handle).Decode(&have); err != nil {
		return nil, fmt.Errorf("%s is not readable (%w); %s", path, err, remedy)
	}
	if have.Cluster != cfg.Identity.Cluster || have.Server != cfg.Identity.Server {
		return nil, fmt.Errorf("%s belongs to agent %q of cluster %q, not to %q of %q: give this agent a data directory of its own",
			cfg.Dir, have.Server, have.Cluster, cfg.Identity.Server, cfg.Identity.Cluster)
	}
	return have.Voters, nil
}

func writeIdentity(cfg Config, path string) ([]consensus.ServerID, error) {
	names, err := cfg.FS.ReadDir("IDENTITY", cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the data directory: %w", err)
	}
	if slices.ContainsFunc(names, func(name string) bool { return filepath.Ext(name) == ".log" }) {
		return nil, fmt.Errorf("%s holds a log, but no identity; %s", cfg.Dir, remedy)
	}
	id := cfg.Identity
	id.Voters = slices.Sorted(slices.Values(id.Voters))
	var data []byte
	if err := codec.NewEncoderBytes(&data, handle).Encode(id); err != nil {
		return nil, fmt.Errorf("encode the identity: %w", err)
	}
	if err := vfs.WriteAtomic(cfg.FS, "IDENTITY", path, data); err != nil {
		return nil, fmt.Errorf("store the identity: %w", err)
	}
	return id.Voters, nil
}
