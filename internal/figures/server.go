package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// serverSide measures the whole run of a wizard without a question, from the start of
// the program to the saved and verified connection, against a simulated Exchange Server.
func (b *bench) serverSide() error {
	for _, way := range []struct{ name, flags string }{{"by name", `--server "$SIM_SERVER"`}, {"by Autodiscover", "--autodiscover"}} {
		if err := b.serverRun(way.name, way.flags); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) serverRun(way, flags string) error {
	dir, err := os.MkdirTemp(b.dir, "server")
	if err != nil {
		return err
	}
	counters, took := filepath.Join(dir, "counters.json"), filepath.Join(dir, "took")
	run := fmt.Sprintf(`begin=$(date +%%s%%N) && "$0" new exchange --on-premises %s --admin-upn "$SIM_ADMIN_UPN" --password-file "$SIM_ADMIN_PASSWORD_FILE" `+
		`--certificate-sha256 "$SIM_SERVER_SHA256" --grant-impersonation --name it --no-input && echo $(($(date +%%s%%N) - begin)) > "$1"`, flags)
	env := []string{"C2CONN_IDENTITY_FILE=" + filepath.Join(dir, "identity")}
	if _, err := b.once(env, b.sim, "onprem", "--dump", counters, "--", "sh", "-c", run, b.c2conn, took); err != nil {
		return err
	}
	text, err := os.ReadFile(took)
	if err != nil {
		return err
	}
	nanoseconds, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(counters)
	if err != nil {
		return err
	}
	var counted struct {
		Failed *int `json:"failed_sign_ins"`
	}
	if err := json.Unmarshal(data, &counted); err != nil {
		return fmt.Errorf("read the simulation's counters: %w", err)
	}
	if counted.Failed == nil {
		return errors.New("the simulation counts no failed sign-ins")
	}
	b.bound("Exchange Server "+way+", start to verified", time.Duration(nanoseconds).Seconds(), 3, "s")
	b.bound("failed sign-ins on the way", float64(*counted.Failed), 0, "")
	return nil
}
