package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"picket/failover/salvage"
)

// Salvaged is a file of what a former master had written and nobody else has.
type Salvaged struct {
	File string `json:"file"` // below the directory
	salvage.Header
	Damage string `json:"damage,omitempty"` // why it can't be read; empty: it can
}

// ListSalvage lists the files below a directory. What is damaged is listed as such.
func ListSalvage(dir string) ([]Salvaged, error) {
	list := []Salvaged{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == dir:
			return nil // nothing was ever kept
		case err != nil:
			return err
		case entry.IsDir(), !strings.HasSuffix(path, salvage.Suffix):
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		one := Salvaged{File: name}
		if one.Header, err = header(path); errors.Is(err, salvage.ErrDamaged) {
			one.Damage, err = err.Error(), nil
		}
		list = append(list, one)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list what was kept: %w", err)
	}
	return list, nil
}

func header(path string) (salvage.Header, error) {
	file, size, err := open(path)
	if err != nil {
		return salvage.Header{}, err
	}
	defer file.Close()
	return salvage.ReadHeader(file, size)
}

func open(path string) (*os.File, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// WriteSalvage writes the list as a table.
func WriteSalvage(out io.Writer, list []Salvaged) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nothing was kept")
		return err
	}
	var files grid
	files.head("FILE", "SERVER", "EPOCH", "KEPT", "BYTES", "COMMANDS", "KEYS")
	for _, s := range list {
		if s.Damage != "" {
			files.row(s.File, cell{s.Damage, bad})
			continue
		}
		more := ""
		if s.MoreKeys {
			more = "+"
		}
		files.row(s.File, s.Server, s.Epoch, s.At.Local().Format(time.DateTime), s.Size(), s.Commands, fmt.Sprint(s.Keys, more))
	}
	return files.write(out)
}

// Commands is the format of a file's commands that redis-cli reads.
const Commands Format = "commands"

// ShowSalvage writes the commands of a file, one after the other. The file's checksum is checked before anything is written.
func ShowSalvage(out io.Writer, path string, format Format) error {
	file, size, err := open(path)
	if err != nil {
		return fmt.Errorf("show what was kept: %w", err)
	}
	defer file.Close()
	h, err := salvage.ReadHeader(file, size)
	if err == nil {
		err = h.Verify(file)
	}
	if err != nil {
		return fmt.Errorf("show %s: %w", path, err)
	}
	limits, write := salvage.Showing, writeText
	switch format {
	case JSON, YAML:
		limits, write = salvage.Everything, format.writeObject
	case Commands:
		limits, write = salvage.Everything, writeCommand
	default:
		fmt.Fprintf(out, "%d bytes that %s had written and the master of %s in epoch %d has not: %d commands, %d keys\n",
			h.Size(), h.Server, h.Master, h.Epoch, h.Commands, h.Keys)
	}
	decoder, db := salvage.NewDecoder(h.Stream(file), h.From, limits), salvage.NoDB
	for {
		c, err := decoder.Next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, salvage.ErrMalformed):
			return undecoded(out, format, h.To+1-decoder.Whole())
		case err != nil:
			return fmt.Errorf("decode %s: %w", path, err)
		case c.Overhead():
			continue
		}
		if err := write(out, c, &db); err != nil {
			return err
		}
	}
}

// undecoded tells of bytes at the end that are no whole command; only people can be told.
func undecoded(out io.Writer, format Format, n int64) error {
	if n == 0 || format != Table {
		return nil
	}
	_, err := fmt.Fprintf(out, "%d bytes at the end are no whole command\n", n)
	return err
}

func writeText(out io.Writer, c salvage.Command, _ *int) error {
	db := "-"
	if c.DB != salvage.NoDB {
		db = strconv.Itoa(c.DB)
	}
	more := ""
	if !c.Whole() {
		more = " …"
	}
	_, err := fmt.Fprintf(out, "%12d  db %s  %s%s\n", c.Offset, db, quoted(c), more)
	return err
}

// writeCommand writes a line for redis-cli, and one before it where the database changes.
func writeCommand(out io.Writer, c salvage.Command, db *int) error {
	if c.DB != *db && c.DB != salvage.NoDB {
		if _, err := fmt.Fprintf(out, "SELECT %d\n", c.DB); err != nil {
			return err
		}
		*db = c.DB
	}
	_, err := fmt.Fprintln(out, quoted(c))
	return err
}

func (f Format) writeObject(out io.Writer, c salvage.Command, _ *int) error {
	line := struct {
		Offset int64    `json:"offset"`
		DB     *int     `json:"db"`             // null: it was selected before
		Args   []string `json:"args,omitempty"` // absent: they are no text
		Base64 [][]byte `json:"args_base64,omitempty"`
	}{Offset: c.Offset}
	if c.DB != salvage.NoDB {
		line.DB = &c.DB
	}
	for _, a := range c.Args {
		if c.Text() {
			line.Args = append(line.Args, string(a.Text))
		} else {
			line.Base64 = append(line.Base64, a.Text)
		}
	}
	return f.Write(out, Answer{Value: line})
}

// quoted writes a command as redis-cli reads one.
func quoted(c salvage.Command) string {
	var b strings.Builder
	for i, a := range c.Args {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte('"')
		for _, char := range a.Text {
			switch {
			case char == '"' || char == '\\':
				b.WriteByte('\\')
				b.WriteByte(char)
			case char >= ' ' && char <= '~':
				b.WriteByte(char)
			default:
				fmt.Fprintf(&b, `\x%02x`, char)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}
