package config

import (
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What may be set of a master at run time has Sentinel's words for it.
const (
	OptionDownAfter       = "down-after-milliseconds"
	OptionFailoverTimeout = "failover-timeout"
	OptionParallelSyncs   = "parallel-syncs"
	OptionQuorum          = "quorum"
	OptionRebootDownAfter = "master-reboot-down-after-period"
	OptionRename          = "rename-command"
	// These are an agent's own: secrets, and what is true of its host only.
	OptionUser         = "auth-user"
	OptionPassword     = "auth-pass"
	OptionNotification = "notification-script"
	OptionReconfig     = "client-reconfig-script"
)

// Refusals of Master.Set.
var (
	ErrUnknownOption = errors.New("there is no such option")
	ErrBadValue      = errors.New("the value is out of range")
	ErrNoScript      = errors.New("the script does not exist, or may not be executed")
)

// OwnOption says whether an option is of one agent, and not of all.
func OwnOption(option string) bool {
	return slices.Contains([]string{OptionUser, OptionPassword, OptionNotification, OptionReconfig}, option)
}

// MonitoredMaster holds what a master has that is made known at run time: Sentinel's defaults, where it has any.
func MonitoredMaster() Master {
	m := DefaultMaster()
	m.DownAfter, m.FailoverTimeout = 30*time.Second, 3*time.Minute
	return m
}

// Set changes one setting. The name of a renamed command belongs to the option: "rename-command CONFIG". What depends on the setting is made to
// fit.
func (m *Master) Set(option, value string) error {
	name, command, _ := strings.Cut(option, " ")
	switch name {
	case OptionDownAfter:
		return m.setDuration(&m.DownAfter, value, minDownAfter)
	case OptionFailoverTimeout:
		return m.setDuration(&m.FailoverTimeout, value, time.Millisecond)
	case OptionRebootDownAfter:
		return m.setDuration(&m.RebootDownAfter, value, 0)
	case OptionParallelSyncs:
		return setCount(&m.ParallelSyncs, value)
	case OptionQuorum:
		return setCount(&m.Quorum, value)
	case OptionRename:
		return m.rename(command, value)
	case OptionUser:
		m.Username = value
	case OptionPassword:
		m.Password, m.PasswordFile = Secret(value), ""
	case OptionNotification:
		return setScript(&m.NotificationScript, value)
	case OptionReconfig:
		return setScript(&m.ClientReconfigScript, value)
	default:
		return ErrUnknownOption
	}
	return nil
}

func (m *Master) setDuration(to *time.Duration, value string, least time.Duration) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n > math.MaxInt64/int64(time.Millisecond) || n < 0 || time.Duration(n)*time.Millisecond < least {
		return ErrBadValue
	}
	*to = time.Duration(n) * time.Millisecond
	m.Lease = max(minLease, min(m.Lease, m.DownAfter*6/10))
	m.CrashGrace = min(m.CrashGrace, m.DownAfter/2)
	return nil
}

func setCount(to *int, value string) error {
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < 1 {
		return ErrBadValue
	}
	*to = int(n)
	return nil
}

// rename notes another name of a command; its own name takes that back.
func (m *Master) rename(command, as string) error {
	if command == "" || as == "" || strings.ContainsAny(command+as, " \t\r\n") {
		return ErrBadValue
	}
	m.RenameCommands = slices.DeleteFunc(slices.Clone(m.RenameCommands), func(r Rename) bool { return strings.EqualFold(r.Command, command) })
	if !strings.EqualFold(command, as) {
		m.RenameCommands = append(m.RenameCommands, Rename{command, as})
	}
	return nil
}

func setScript(to *string, path string) error {
	if info, err := os.Stat(path); path != "" && (err != nil || info.IsDir() || info.Mode()&0o111 == 0) {
		return ErrNoScript
	}
	*to = path
	return nil
}
