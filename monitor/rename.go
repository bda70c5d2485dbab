package monitor

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"picket/config"
)

// NewClient makes a client for a server of a master's group, which may know commands under other names.
func NewClient(m *config.Master, opts *redis.Options) *redis.Client {
	c := redis.NewClient(opts)
	if len(m.RenameCommands) > 0 {
		names := renames{}
		for _, r := range m.RenameCommands {
			names[strings.ToUpper(r.Command)] = r.As
		}
		c.AddHook(names)
	}
	return c
}

// renames are the servers' names of commands, by their usual ones in upper case.
type renames map[string]string

func (r renames) apply(cmd redis.Cmder) {
	if args := cmd.Args(); len(args) > 0 {
		if name, ok := args[0].(string); ok && r[strings.ToUpper(name)] != "" {
			args[0] = r[strings.ToUpper(name)]
		}
	}
}

// DialHook implements redis.Hook.
func (r renames) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (r renames) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.apply(cmd)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (r renames) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			r.apply(cmd)
		}
		return next(ctx, cmds)
	}
}
