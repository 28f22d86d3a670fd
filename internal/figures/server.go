package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem"
)

// serverSide measures the whole run of a wizard without a question, from the start of
// the program to the saved and verified connection, against a simulated Exchange Server.
func (b *bench) serverSide() error {
	for _, way := range []string{"by name", "by Autodiscover"} {
		world, err := onprem.Start(onprem.Options{Now: time.Now})
		if err != nil {
			return err
		}
		err = b.serverRun(world, way)
		if e := world.Close(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) serverRun(world *onprem.World, way string) error {
	dir, err := os.MkdirTemp(b.dir, "server")
	if err != nil {
		return err
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("Ex4dmin!Pass\n"), 0o600); err != nil {
		return err
	}
	env := append(world.Env(), "C2CONN_HOME="+filepath.Join(dir, "home"), "C2CONN_IDENTITY_FILE="+filepath.Join(dir, "identity"))
	args := []string{"new", "exchange", "--on-premises", "--admin-upn", "exadmin@corp.test", "--password-file", password, "--grant-impersonation", "--name", "it", "--no-input",
		"--certificate-sha256", world.Fingerprint()}
	if way == "by name" {
		args = append(args, "--server", "exch01.corp.test")
	} else {
		args = append(args, "--autodiscover")
	}
	u, err := b.once(env, b.c2conn, args...)
	if err != nil {
		return err
	}
	b.bound("Exchange Server "+way+", start to verified", u.wall.Seconds(), 3, "s")
	b.bound("failed sign-ins on the way", float64(world.FailedSignIns()), 0, "")
	return nil
}
