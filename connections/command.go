package connections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const commandStderr = 4 << 10 // bytes kept for the error

// runCommand gives the function that runs a program without a shell and returns
// its standard output. The error tells what it wrote to standard error, never its
// output. The program cannot ask at the terminal: it runs in the background, so
// that what it starts can be ended with it.
func runCommand(environ func() []string) func(context.Context, []string) ([]byte, error) {
	return func(ctx context.Context, argv []string) ([]byte, error) {
		return run(ctx, argv, withoutSecrets(environ()))
	}
}

func run(ctx context.Context, argv, environ []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the user's own command, from a file that only they can change
	out := &limitedBuffer{limit: fileLimit + 1}
	said := &limitedBuffer{limit: commandStderr}
	cmd.Stdout, cmd.Stderr, cmd.Env = out, said, environ
	cmd.WaitDelay = time.Second // for grandchildren that keep the pipes open
	endWithChildren(cmd)
	if err := cmd.Run(); err != nil {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			if text := clean(said.b.String()); text != "" {
				return nil, fmt.Errorf("the command failed (%s): %s", ended.ProcessState, text)
			}
			return nil, fmt.Errorf("the command failed (%s) and gave no reason", ended.ProcessState)
		}
		return nil, fmt.Errorf("the command could not be run: %w", err)
	}
	if out.b.Len() > fileLimit {
		return nil, fmt.Errorf("the command gave more than %d KiB", fileLimit>>10)
	}
	return out.b.Bytes(), nil
}

// withoutSecrets takes c2conn's own secrets out of an environment: a command that
// fetches one secret need not know the others.
func withoutSecrets(environ []string) []string {
	kept := make([]string, 0, len(environ))
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		name = strings.ToUpper(name) // Windows does not tell the cases apart
		if strings.HasPrefix(name, "C2CONN_") && (strings.Contains(name, "PASS") || strings.Contains(name, "SECRET")) {
			continue
		}
		kept = append(kept, entry)
	}
	return kept
}

// limitedBuffer keeps the first bytes and swallows the rest, so that the
// command is not blocked.
type limitedBuffer struct {
	b     bytes.Buffer
	limit int
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), l.limit-l.b.Len())])
	return len(p), nil
}
