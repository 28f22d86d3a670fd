package psrp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is a way in which the endpoint misbehaves.
type Fault struct {
	Name string
	Args string // what follows "NAME=", empty when nothing does
	Help string // one line
}

// ErrFault marks a fault that is unknown or whose argument is wrong.
var ErrFault = errors.New("fault")

// Faults lists the faults.
func Faults() []Fault {
	return []Fault{
		{"access-denied", "", "no user may use remote PowerShell"},
		{"assignment-delay", "WAIT", "role assignments made from now on are in force only after this time"},
		{"dies", "[TIMES]", "the shell is gone when a command's output is asked for, once unless told otherwise"},
		{"drop", "[TIMES]", "the connection ends without an answer when a command's output is asked for"},
		{"hostile", strings.Join(hostileKinds(), "|"), "the first object that a cmdlet gives is malicious or broken CLIXML"},
		{"quota", "[TIMES]", "the user has as many shells as he may have"},
		{"redirect", "URL", "a new shell is to be opened elsewhere: HTTP 302"},
		{"slow", "WAIT", "every cmdlet takes this long"},
	}
}

type activeFault struct {
	arg  string
	wait time.Duration
	left int // how often it strikes; < 0: always
}

// Break switches faults on, each NAME or NAME=ARGUMENT as in Faults; those
// switched on before stay. "none" switches all off.
func (s *Server) Break(faults ...string) error {
	for _, text := range faults {
		if text == "none" {
			s.mu.Lock()
			clear(s.faults)
			s.mu.Unlock()
			s.o.Organisation.Delay(0)
			continue
		}
		name, arg, _ := strings.Cut(text, "=")
		i := slices.IndexFunc(Faults(), func(f Fault) bool { return f.Name == name })
		if i < 0 {
			return fmt.Errorf("%w %q is unknown", ErrFault, name)
		}
		f, err := parseFault(name, arg)
		if err != nil {
			return fmt.Errorf("%w %s takes %q: %w", ErrFault, name, Faults()[i].Args, err)
		}
		if name == "assignment-delay" {
			s.o.Organisation.Delay(f.wait)
			continue
		}
		s.mu.Lock()
		s.faults[name] = f
		s.mu.Unlock()
	}
	return nil
}

func parseFault(name, arg string) (*activeFault, error) {
	f := &activeFault{arg: arg, left: -1}
	var err error
	switch name {
	case "access-denied":
		if arg != "" {
			err = errors.New("no argument")
		}
	case "assignment-delay", "slow":
		f.wait, err = time.ParseDuration(arg)
		if err == nil && f.wait < 0 {
			err = errors.New("before its time")
		}
	case "dies", "drop", "quota":
		if name != "quota" {
			f.left = 1
		}
		if arg != "" {
			if f.left, err = strconv.Atoi(arg); err == nil && f.left < 1 {
				err = errors.New("not once")
			}
		}
	case "hostile":
		if !slices.Contains(hostileKinds(), arg) {
			err = errors.New("unknown kind")
		}
	case "redirect":
		if arg == "" {
			err = errors.New("no URL")
		}
	}
	return f, err
}

// fault tells whether a fault strikes now, and counts it.
func (s *Server) fault(name string) *activeFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faultLocked(name)
}

func (s *Server) faultLocked(name string) *activeFault {
	f := s.faults[name]
	if f == nil || f.left == 0 {
		return nil
	}
	if f.left > 0 {
		f.left--
	}
	return f
}

func hostileKinds() []string {
	return []string{"bomb", "control", "cycle", "deep", "huge", "many", "reference", "truncated", "type"}
}

// hostile makes an object that no well-behaved server sends.
func hostile(kind string) string {
	const open, end = `<Obj RefId="0"><TN RefId="0"><T>Microsoft.Exchange.Data.Directory.Management.Mailbox</T><T>System.Object</T></TN><Props>`, `</Props></Obj>`
	switch kind {
	case "bomb": // entities that grow
		return `<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>` + open + `<S N="Name">&b;</S>` + end
	case "control": // terminal escapes, a reversed name, NUL, half a surrogate pair, PowerShell's quotes
		return open + `<S N="Name">_x001B_]0;owned_x0007__x001B_[31mAdmin_x000D__x000A_second line` + "\u202e" + `gpj.exe_x0000__xD83D_ ’; calc; ’</S>` +
			`<S N="DisplayName">_x001B_[2J</S><S N="PrimarySmtpAddress">_x009B_31m@corp.test</S>` + end
	case "cycle":
		return open + `<Ref N="Self" RefId="0" />` + end
	case "deep":
		const depth = 20_000
		var b strings.Builder
		for i := range depth {
			fmt.Fprintf(&b, `<Obj RefId="%d"><LST>`, i)
		}
		return b.String() + strings.Repeat(`</LST></Obj>`, depth)
	case "huge":
		return open + `<S N="Name">` + strings.Repeat("A", 12<<20) + `</S>` + end
	case "many":
		return `<Obj RefId="0"><LST>` + strings.Repeat(`<I32>1</I32>`, 300_000) + `</LST></Obj>`
	case "reference":
		return open + `<Ref N="Name" RefId="4711" />` + end
	case "truncated":
		return open + `<S N="Name">Al`
	default: // "type": values that do not fit their elements
		return open + `<I32 N="Name">twelve</I32><B N="IsValid">perhaps</B><G N="Guid">0</G><DT N="WhenCreated">yesterday</DT><Unknown N="X">1</Unknown>` + end
	}
}
