package monitor

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"picket/config"
)

// NewClient makes a client for a server of a master's group, which may know commands under other names.
func NewClient(m *config.Master, opts *redis.Options) *redis.Client {
	if user, password, name := opts.Username, opts.Password, opts.ClientName; password != "" {
		opts.Username, opts.Password, opts.ClientName = "", "", "" // a name that is given before the password is refused
		opts.OnConnect = func(ctx context.Context, conn *redis.Conn) error {
			if err := logIn(ctx, conn, user, password); err != nil || name == "" {
				return err
			}
			if err := conn.ClientSetName(ctx, name).Err(); err != nil && !noName(err.Error()) {
				return err
			}
			return nil
		}
	}
	c := redis.NewClient(opts)
	if len(m.RenameCommands) > 0 {
		c.AddHook(renamesOf(m))
	}
	return c
}

// logIn gives the password.
func logIn(ctx context.Context, conn *redis.Conn, user, password string) error {
	var err error
	if user == "" {
		err = conn.Auth(ctx, password).Err()
	} else {
		err = conn.AuthACL(ctx, user, password).Err()
	}
	if err != nil && !NeedsNoPassword(err.Error()) {
		return err
	}
	return nil
}

// NeedsNoPassword says whether a server refused a password because it asks for none: whoever brings one in gives it to the agents first.
func NeedsNoPassword(reply string) bool {
	return strings.Contains(reply, "without any password configured") || strings.Contains(reply, "but no password is set")
}

// renames are the servers' names of commands, by their usual ones in upper case.
type renames map[string]string

// renamesOf gives those of a master. SLAVEOF is the older word for REPLICAOF, and the one that Redis Sentinel's users have renamed.
func renamesOf(m *config.Master) renames {
	names := renames{}
	for _, r := range m.RenameCommands {
		names[strings.ToUpper(r.Command)] = r.As
	}
	if as := names["SLAVEOF"]; as != "" && names["REPLICAOF"] == "" {
		names["REPLICAOF"] = as
	}
	return names
}

// Renamed is a command as the servers of a master's group know it.
func Renamed(m *config.Master, command string) string { return renamesOf(m).of(command) }

func (r renames) of(command string) string {
	if as := r[strings.ToUpper(command)]; as != "" {
		return as
	}
	return command
}

func (r renames) apply(cmd redis.Cmder) {
	if args := cmd.Args(); len(args) > 0 {
		if name, ok := args[0].(string); ok {
			args[0] = r.of(name)
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
