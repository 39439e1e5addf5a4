package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A File is the statistics of one HAProxy, saved by somebody: what "show stat"
// answers, or a statistics page with ";csv". It is read anew each time.
type File struct {
	Path string
}

// String is the path as it was given.
func (f File) String() string { return f.Path }

// ScanStats is [Source.ScanStats]. It reads regular files only: a pipe could keep
// it waiting, and be read once only.
func (f File) ScanStats(ctx context.Context, filters []haproxysock.StatFilter, columns []string, row func(*haproxysock.StatScanner) error) error {
	file, err := f.open()
	if err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	defer file.Close()
	return haproxysock.ScanCSV(file, f.String(), filters, columns, func(s *haproxysock.StatScanner) error {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", f, context.Cause(ctx))
		}
		return row(s)
	})
}

func (f File) open() (*os.File, error) {
	info, err := os.Stat(f.Path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(f.Path)
	}
	if inner := (*fs.PathError)(nil); errors.As(err, &inner) {
		err = inner.Err // the rest says the path once more
	}
	return file, err
}
