package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem"
)

func TestUsageOfOnPrem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"onprem", "--fault", "nonsense", "--", "true"}, 2, `unknown fault "nonsense"`},
		{[]string{"onprem", "--version", "2003", "--", "true"}, 2, "2003"},
		{[]string{"onprem", "--mailboxes", "1", "--", "true"}, 2, "--mailboxes"},
		{[]string{"onprem", "--sharepoint-version", "2010", "--", "true"}, 2, "2010"},
		{[]string{"onprem", "--site-collections", "0", "--", "true"}, 2, "--site-collections"},
		{[]string{"onprem", "--log", filepath.Join(t.TempDir(), "no", "such", "folder"), "--", "true"}, 1, "open the log"},
		{[]string{"onprem", "--", "no-such-command-anywhere"}, 127, "no-such-command-anywhere"},
		{[]string{"onprem", "--help"}, 0, "C2CONN_CONNECT_TO"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			code, out, errs := start(t, nil, c.args...)
			if code != c.code || !strings.Contains(out+errs, c.want) {
				t.Errorf("code %d\n%s%s", code, out, errs)
			}
		})
	}
	_, out, _ := start(t, nil, "onprem", "--list-faults")
	if n := strings.Count(out, "\n"); n != len(onprem.Faults()) {
		t.Errorf("%d lines for %d faults", n, len(onprem.Faults()))
	}
}

func TestOnPremEnvironment(t *testing.T) {
	t.Parallel()
	needShell(t)
	dump := filepath.Join(t.TempDir(), "counters.json")
	code, out, errs := start(t, nil, "onprem", "--fault", "granted", "--dump", dump, "--", "sh", "-c",
		`cat; echo; env | grep -E '^(SIM_|C2CONN_)'; for f in "$SIM_ADMIN_PASSWORD_FILE" "$SIM_CA_FILE" "$SIM_SERVER_CERT_FILE"; do ls -l "$f"; done; cat "$SIM_ADMIN_PASSWORD_FILE"; exit 7`)
	if code != 7 || errs != "" {
		t.Fatalf("code %d: %s", code, errs)
	}
	vars := map[string]string{}
	for line := range strings.SplitSeq(out, "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			vars[name] = value
		}
	}
	if vars["SIM_ADMIN_UPN"] != onprem.Admin || !strings.Contains(vars["C2CONN_CONNECT_TO"], "exch01.corp.test:443:127.0.0.1:") || !strings.HasPrefix(vars["C2CONN_DNS"], "127.0.0.1:") ||
		len(vars["SIM_SERVER_SHA256"]) != 64 || vars["C2CONN_HOME"] == "" || vars["C2CONN_IDENTITY_FILE"] == "" {
		t.Errorf("%v", vars)
	}
	if strings.Count(out, "-rw-------") != 3 || !strings.HasSuffix(out, onprem.AdminPassword) || !strings.HasPrefix(out, "input\n") {
		t.Error(out)
	}
	if _, err := os.Stat(vars["SIM_CA_FILE"]); !os.IsNotExist(err) {
		t.Errorf("the files were left behind: %v", err)
	}
	data, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	var counters onprem.Counters
	if err := json.Unmarshal(data, &counters); err != nil || len(counters.Impersonation) != 1 || counters.Impersonation[0].Assignee != "exadmin" {
		t.Errorf("%s: %v", data, err)
	}
}

func TestOnPremSharePoint(t *testing.T) {
	t.Parallel()
	needShell(t)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"SIM_SHAREPOINT_URL=https://sharepoint.corp.test\n", "SIM_CENTRAL_ADMIN_URL=http://sharepoint.corp.test:34567\n", "SIM_CENTRAL_ADMIN_PORT=34567\n", "SIM_SHAREPOINT_UPN=" + onprem.FarmAdmin + "\n", "SIM_READER_UPN=" + onprem.Reader + "\n",
			"sharepoint.corp.test:443:127.0.0.1:", "sharepoint.corp.test:80:127.0.0.1:1,", "sharepoint.corp.test:34567:127.0.0.1:", onprem.FarmAdminPassword + onprem.ReaderPassword}},
		{[]string{"--fault", "sp-http", "--fault", "ca-https", "--sharepoint-version", "2016", "--site-collections", "50"}, []string{"SIM_SHAREPOINT_URL=http://sharepoint.corp.test\n", "SIM_CENTRAL_ADMIN_URL=https://sharepoint.corp.test:34567\n", "sharepoint.corp.test:443:127.0.0.1:1,"}},
	} {
		code, out, errs := start(t, nil, append(append([]string{"onprem"}, c.args...), "--", "sh", "-c", `env | grep -E '^(SIM_|C2CONN_)'; cat "$SIM_SHAREPOINT_PASSWORD_FILE" "$SIM_READER_PASSWORD_FILE"; test -s "$SIM_SHAREPOINT_CERT_FILE"`)...)
		if code != 0 || errs != "" {
			t.Fatalf("code %d: %s", code, errs)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: no %q in %s", c.args, want, out)
			}
		}
	}
}
