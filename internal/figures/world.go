//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
)

// writeConnections fills a home with n connections, written by hand as any
// program or person may.
func writeConnections(home string, n int) error {
	dir := filepath.Join(home, "connections")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i := range n {
		text := fmt.Sprintf(`schema: 1
id: 01K9Z7%020d
name: customer-%05d
kind: exchange
location: online
cloud: global
tenant: {id: 11111111-2222-4333-8444-%012d, domain: customer%d.onmicrosoft.com, name: Customer %d}
account: admin@customer%d.example
registration: {mode: manual, client_id: 22222222-3333-4444-8555-%012d, catalogue: 2026-11}
credential: {type: certificate, thumbprint: %040X, thumbprint_sha256: %064X, not_after: 2031-11-22T00:00:00Z, secret: 'store:01K9Z7%020d'}
endpoints: {ews: https://outlook.office365.com/EWS/Exchange.asmx}
verification: {at: 2026-11-22T06:00:00Z, state: verified, checks: {certificate: pass, ews: pass, permissions: pass}}
created: 2026-11-22T05:00:00Z
updated: 2026-11-22T06:00:00Z
`, i, i, i, i, i, i, i, i, i, i)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("customer-%05d.yaml", i)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// maxRSS is the largest resident memory of a process in bytes.
func maxRSS(p *os.ProcessState) int64 {
	u, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return u.Maxrss // bytes there
	}
	return u.Maxrss << 10
}

// onTerminal runs a command on a pseudo-terminal that shows and answers nothing.
func onTerminal(ctx context.Context, env []string, name string, args ...string) (time.Duration, []byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	began := time.Now()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		return 0, nil, err
	}
	var out bytes.Buffer
	_, copyErr := io.Copy(&out, tty)
	if errors.Is(copyErr, syscall.EIO) { // how Linux says that the other end is closed
		copyErr = nil
	}
	err = errors.Join(copyErr, cmd.Wait(), tty.Close())
	return time.Since(began), out.Bytes(), err
}

// request is a line of the simulated tenant's log.
type request struct {
	Name  string  `json:"name"`
	URL   string  `json:"url"`
	Start float64 `json:"start_ms"`
	End   float64 `json:"end_ms"`
}

func readLog(path string) ([]request, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var list []request
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		// "after discovery": what says where things are is not part of the work.
		if !strings.Contains(r.URL, "/.well-known/openid-configuration") {
			list = append(list, r)
		}
	}
	return list, lines.Err()
}

// criticalPath is the longest chain of requests each of which began after the one
// before had ended, and the time from the first to the last answer.
func criticalPath(list []request) (depth int, wall time.Duration) {
	slices.SortFunc(list, func(a, b request) int { return int((a.Start - b.Start) * 1000) })
	longest := make([]int, len(list))
	var first, last float64
	for i, r := range list {
		longest[i] = 1
		for j := range i {
			if list[j].End <= r.Start {
				longest[i] = max(longest[i], longest[j]+1)
			}
		}
		depth = max(depth, longest[i])
		if i == 0 {
			first = r.Start
		}
		last = max(last, r.End)
	}
	return depth, time.Duration((last - first) * float64(time.Millisecond))
}
