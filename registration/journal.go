package registration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/atomicfile"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/privatefile"
	"github.com/c2conn/c2conn/internal/transport"
)

const (
	journalSchema = 1
	journalEnding = ".json"
	journalLimit  = 1 << 20
	logLimit      = 500 // entries; a run has about twenty
)

// journal is what is known of a run, on disk before the tenant hears of it. It
// holds no secret. From it a run can be gone on with, or taken back, by another
// process on another day.
type journal struct {
	Schema     int                `json:"schema"`
	Run        string             `json:"run"` // ULID
	Begun      time.Time          `json:"begun"`
	Cloud      string             `json:"cloud"`
	Tenant     connections.Tenant `json:"tenant"`
	Account    string             `json:"account"` // who began it
	Kind       connections.Kind   `json:"kind"`
	Set        Set                `json:"permissions,omitempty"`
	AppName    string             `json:"app_name"`
	Connection string             `json:"connection,omitempty"`
	Type       string             `json:"type"` // of the credential
	Action     string             `json:"action"`
	UniqueName string             `json:"unique_name,omitempty"`

	// Touched is set before the first request that changes the tenant. Without it
	// there is nothing to go on with.
	Touched     bool `json:"touched"`
	RollingBack bool `json:"rolling_back,omitempty"`

	Key         keyNote         `json:"key,omitzero"`
	Secret      secretNote      `json:"secret,omitzero"`
	Application applicationNote `json:"application,omitzero"`
	Principal   principalNote   `json:"principal,omitzero"`
	Assigned    []assignedNote  `json:"assigned,omitempty"` // asked for by this run, granted or not
	Required    []assignedNote  `json:"required,omitempty"` // added to the required access of a used application
	Rotation    *rotationNote   `json:"rotation,omitempty"` // of a rotation only

	Log []logNote `json:"log"`
}

// keyNote says which certificate belongs to the run.
type keyNote struct {
	Thumbprint       certs.Thumbprint   `json:"thumbprint,omitempty"` // SHA-1
	ThumbprintSHA256 certs.Thumbprint   `json:"thumbprint_sha256,omitempty"`
	NotAfter         time.Time          `json:"not_after,omitzero"`
	Ref              connections.Ref    `json:"ref,omitempty"`  // once it is in the personal store
	Stays            bool               `json:"stays"`          // the user's own, or there before: never removed from the store
	Old              []certs.Thumbprint `json:"old,omitempty"`  // that this one replaces, to be removed everywhere
	Sent             bool               `json:"sent,omitempty"` // to a used application
}

// secretNote says which client secret belongs to the run.
type secretNote struct {
	Name   string          `json:"name,omitempty"` // by which it is found in the application
	Sent   bool            `json:"sent,omitempty"`
	SentAt time.Time       `json:"sent_at,omitzero"`
	ID     string          `json:"id,omitempty"`
	Ref    connections.Ref `json:"ref,omitempty"` // once it is stored
	End    time.Time       `json:"end,omitzero"`
}

// applicationNote says which application belongs to the run.
type applicationNote struct {
	ObjectID string    `json:"object_id,omitempty"`
	AppID    string    `json:"client_id,omitempty"`
	Sent     bool      `json:"sent,omitempty"` // the request that creates it
	SentAt   time.Time `json:"sent_at,omitzero"`
	Plain    bool      `json:"plain,omitempty"` // created without its unique name: a repetition would make a second one
	Deleted  bool      `json:"deleted,omitempty"`
	purgeNote
}

// purgeNote says whether something was removed from the deleted items.
type purgeNote struct {
	PurgeSent bool `json:"purge_sent,omitempty"` // the request for it, whose answer did not come
	Purged    bool `json:"purged,omitempty"`
}

// principalNote says which service principal belongs to the application.
type principalNote struct {
	ObjectID string `json:"object_id,omitempty"`
	Sent     bool   `json:"sent,omitempty"`    // the request that creates it: it is the run's own
	Deleted  bool   `json:"deleted,omitempty"` // by itself, not with its application
	purgeNote
}

// assignedNote is one permission, by ids.
type assignedNote struct {
	ResourceID string `json:"resource_id"` // object id; in Required the application id
	RoleID     string `json:"role_id"`
}

// logNote is one change, before and after it was sent.
type logNote struct {
	At      time.Time `json:"at"`
	Step    string    `json:"step"`
	Change  string    `json:"change"`
	Outcome string    `json:"outcome"` // outcomeSent, done, outcomeRefused or unknown
	Detail  string    `json:"detail,omitempty"`
}

const (
	outcomeSent    = "sent"
	outcomeRefused = "refused"
)

// ErrJournal means that a journal cannot be written, on a full disk for example.
// Then nothing more is changed in the tenant.
var ErrJournal = errors.New("the journal of the registration cannot be written, so nothing more is changed")

var guidForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
})

func isGUID(s string) bool { return guidForm().MatchString(s) }

// parseJournal reads a journal. Rolling back deletes what it names, so nothing is
// taken from it that a run could not have written. name is the name of the file.
func parseJournal(name string, data []byte) (*journal, error) {
	var j journal
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, errors.New("it is no JSON of a journal")
	}
	if j.Schema > journalSchema {
		return nil, &connections.NewerSchemaError{Found: j.Schema}
	}
	if err := j.check(); err != nil {
		return nil, err
	}
	if name != j.Run+journalEnding {
		return nil, fmt.Errorf("it belongs in the file %s", j.Run+journalEnding)
	}
	return &j, nil
}

func (j *journal) check() error {
	bad := func(field string) error { return fmt.Errorf("its %s is not valid", field) }
	ids := []string{j.Tenant.ID, j.Application.ObjectID, j.Application.AppID, j.Principal.ObjectID, j.Secret.ID}
	for _, a := range slices.Concat(j.Assigned, j.Required) {
		if a.ResourceID == "" || a.RoleID == "" {
			return bad("list of permissions")
		}
		ids = append(ids, a.ResourceID, a.RoleID)
	}
	for _, id := range ids {
		if id != "" && !isGUID(id) {
			return bad("list of ids")
		}
	}
	for _, t := range slices.Concat([]certs.Thumbprint{j.Key.Thumbprint}, j.Key.Old) {
		if p, err := certs.ParseThumbprint(string(t)); t != "" && (err != nil || p != t || !p.IsSHA1()) {
			return bad("thumbprint")
		}
	}
	for _, r := range []connections.Ref{j.Key.Ref, j.Secret.Ref} {
		if r != "" && (r.Validate() != nil || r.Scheme() != connections.SchemeStore && r.Scheme() != connections.SchemeWindows) {
			return bad("reference to a secret")
		}
	}
	_, err := ulid.ParseStrict(j.Run)
	switch {
	case j.Rotation != nil && !j.Rotation.valid():
		return bad("rotation")
	case err != nil || j.Run != strings.ToUpper(j.Run):
		return bad("run")
	case j.Schema != journalSchema:
		return bad("schema")
	case j.Begun.IsZero():
		return bad("beginning")
	case j.Tenant.ID == "":
		return bad("tenant")
	case !slices.Contains(connections.Kinds(), j.Kind):
		return bad("kind")
	case j.Set != SetRecommended && j.Set != SetSeed:
		return bad("permission set")
	case j.Type != connections.TypeCertificate && j.Type != connections.TypeClientSecret:
		return bad("type of credential")
	case j.Action == ActionUse && (j.UniqueName != "" || j.Application.ObjectID == "" || j.Application.AppID == ""),
		j.Action == ActionCreate && j.UniqueName != uniqueName(j.Kind, j.Run),
		j.Action != ActionUse && j.Action != ActionCreate:
		return bad("action")
	case (j.Secret.Sent || j.Secret.ID != "") && j.Secret.Name != secretName(j.Run):
		return bad("client secret")
	case len(j.Log) > logLimit:
		return bad("log")
	}
	if j.Rotation != nil {
		for i := range j.Rotation.Connections {
			j.Rotation.Connections[i] = transport.CleanText(j.Rotation.Connections[i], 300)
		}
	}
	for _, s := range []*string{&j.Cloud, &j.Tenant.Domain, &j.Tenant.Name, &j.Account, &j.AppName, &j.Connection} {
		*s = transport.CleanText(*s, 300)
	}
	return nil
}

// readJournal reads DIR/RUN.json. Errors: fs.ErrNotExist where there is none,
// *connections.DamagedError, *connections.NewerSchemaError, *connections.PermissionError.
func readJournal(dir, run string) (*journal, error) {
	path := filepath.Join(dir, run+journalEnding)
	data, err := privatefile.Read(path, journalLimit)
	if err != nil {
		return nil, err
	}
	j, err := parseJournal(run+journalEnding, data)
	var newer *connections.NewerSchemaError
	switch {
	case errors.As(err, &newer):
		newer.Path = path
		return nil, newer
	case err != nil:
		return nil, &connections.DamagedError{Path: path, Err: err}
	}
	return j, nil
}

// save writes the journal, whole or not at all.
func (j *journal) save(dir string) error {
	if len(j.Log) > logLimit {
		j.Log = j.Log[len(j.Log)-logLimit:]
	}
	data, err := json.MarshalIndent(j, "", "  ")
	if err == nil {
		err = atomicfile.Write(dir, j.Run+journalEnding, append(data, '\n'), true)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, connections.FileError(filepath.Join(dir, j.Run+journalEnding), err))
	}
	return nil
}

// runs lists the runs that have a journal, oldest first.
func runs(dir string) ([]string, error) {
	if err := trusted(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("the journals of registrations cannot be read: %w", err)
	}
	var list []string
	for _, n := range names {
		run, ok := strings.CutSuffix(n.Name(), journalEnding)
		if _, err := ulid.ParseStrict(run); ok && err == nil {
			list = append(list, run)
		}
	}
	slices.Sort(list)
	return list, nil
}

// trusted tells whether only this user can write journals; fs.ErrNotExist where
// there is no folder yet.
func trusted(dir string) error {
	err := privatefile.Folder(filepath.Dir(dir), dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the journals of registrations cannot be used: %w", err)
	}
	return err
}
