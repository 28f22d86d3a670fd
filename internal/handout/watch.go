package handout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	removeLimit = time.Minute            // Windows keeps a file as long as a program has it open
	removePoll  = 200 * time.Millisecond // between attempts
)

// watcher is the process that removes a folder when this one is gone.
type watcher struct {
	alive io.Closer // the writing end of its standard input; the system closes it with us
	ended chan struct{}
}

// startWatcher starts the process with a pipe as its input, nothing else of ours, and
// out of the reach of Ctrl-C and of the terminal's end.
func startWatcher(program string, arguments []string) (*watcher, error) {
	read, write, err := os.Pipe() // closed on exec: the command does not get it
	if err != nil {
		return nil, err
	}
	// The name stands for the program also where the file is called otherwise.
	cmd := exec.Command(program) //nolint:noctx // it must outlive us
	cmd.Args = append([]string{"c2conn"}, arguments...)
	cmd.Stdin, cmd.Env, cmd.SysProcAttr = read, []string{}, apart() // Go adds what Windows itself needs
	cmd.Dir = filepath.VolumeName(program) + string(filepath.Separator)
	err = cmd.Start()
	_ = read.Close()
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	w := &watcher{alive: write, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(w.ended)
	}()
	return w, nil
}

// end lets the watcher go and waits a moment for it, so that nothing is left running.
func (w *watcher) end() {
	_ = w.alive.Close()
	limit := time.NewTimer(endLimit)
	defer limit.Stop()
	select {
	case <-w.ended:
	case <-limit.C:
	}
}

// Watch is the life of a watcher: it reads from alive until its end, which comes when
// the process at the other end of the pipe is gone, and removes the folder. It refuses
// a path that New cannot have made.
func Watch(ctx context.Context, alive io.Reader, folder string, sleep func(context.Context, time.Duration) error) error {
	if !filepath.IsAbs(folder) || !folderNames().MatchString(filepath.Base(folder)) {
		return fmt.Errorf("%s is no folder of c2conn exec", folder)
	}
	letGo()
	_, _ = io.Copy(io.Discard, alive) // an error is an end too
	err := os.RemoveAll(folder)
	for waited := time.Duration(0); err != nil && waited < removeLimit; waited += removePoll {
		if e := sleep(ctx, removePoll); e != nil {
			return errors.Join(err, e)
		}
		err = os.RemoveAll(folder)
	}
	return err
}
