package registration

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/graph"
)

func (f *fake) SetKeys(ctx context.Context, id string, keys []graph.Key) error {
	return f.change(ctx, "set keys", id, func(a *graph.Application) error {
		if err := f.checkKeys(keys); err != nil {
			return err
		}
		a.Keys = slices.Clone(keys)
		for i := range a.Keys {
			if a.Keys[i].ID == "" {
				a.Keys[i].ID = f.id()
			}
		}
		if f.afterKeys != nil {
			f.afterKeys(a)
		}
		return nil
	})
}

// AddKey takes a proof for what it says, and looks only whether it is one of the
// application's: the simulated tenant verifies it, in other tests.
func (f *fake) AddKey(ctx context.Context, id string, k graph.Key, proof connections.Secret) (added graph.Key, err error) {
	err = f.change(ctx, "add key", id, func(a *graph.Application) error {
		if err := f.proves(a, proof); err != nil {
			return err
		}
		if err := f.checkKeys([]graph.Key{k}); err != nil {
			return err
		}
		k.ID = f.id()
		a.Keys = append(slices.Clone(a.Keys), k)
		added = k
		return nil
	})
	return added, err
}

func (f *fake) RemoveKey(ctx context.Context, id, keyID string, proof connections.Secret) error {
	return f.change(ctx, "remove key", id, func(a *graph.Application) error {
		if err := f.proves(a, proof); err != nil {
			return err
		}
		a.Keys = slices.DeleteFunc(slices.Clone(a.Keys), func(k graph.Key) bool { return k.ID == keyID })
		return nil
	})
}

func (f *fake) proves(a *graph.Application, proof connections.Secret) error {
	header, _, _ := strings.Cut(string(proof.Reveal()), ".")
	if !f.hasThumbprint(a, header, "x5t", sha1.Size) {
		return errors.Join(graph.ErrProof, &graph.Error{Op: "key", Status: 401, Code: "Authentication_MissingOrMalformed"})
	}
	return nil
}

// hasThumbprint tells whether a JWT's header names a certificate of the application.
func (f *fake) hasThumbprint(a *graph.Application, header, member string, size int) bool {
	var h map[string]any
	data, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil || json.Unmarshal(data, &h) != nil {
		return false
	}
	text, _ := h[member].(string)
	return slices.ContainsFunc(a.Keys, func(k graph.Key) bool {
		sum1, sum256 := sha1.Sum(k.Public), sha256.Sum256(k.Public)
		return base64.RawURLEncoding.EncodeToString(map[int][]byte{sha1.Size: sum1[:], sha256.Size: sum256[:]}[size]) == text
	})
}

func (f *fake) SetRequired(ctx context.Context, id string, r []graph.ResourceAccess) error {
	return f.change(ctx, "set required", id, func(a *graph.Application) error {
		a.Required = r
		*a = cloned(*a)
		return nil
	})
}

func (f *fake) AddPassword(ctx context.Context, id, name string, end time.Time) (p graph.Password, s connections.Secret, err error) {
	err = f.change(ctx, "add password", id, func(a *graph.Application) error {
		if f.noSecrets {
			return &graph.Error{Status: 400, Code: codeForbidden, Message: "Credential type not allowed as per assigned policy."}
		}
		p = graph.Password{ID: f.id(), DisplayName: name, Start: f.clock.Now(), End: end}
		s = connections.NewSecret("value of " + p.ID)
		a.Secrets = append(a.Secrets, p)
		return nil
	})
	if err != nil {
		return graph.Password{}, connections.Secret{}, err
	}
	return p, s, nil
}

func (f *fake) RemovePassword(ctx context.Context, id, key string) error {
	return f.change(ctx, "remove password", id, func(a *graph.Application) error {
		a.Secrets = slices.DeleteFunc(a.Secrets, func(p graph.Password) bool { return p.ID == key })
		return nil
	})
}

func (f *fake) bury(appID string) {
	f.principals = slices.DeleteFunc(f.principals, func(sp graph.ServicePrincipal) bool {
		if sp.AppID != appID {
			return false
		}
		f.deletedSPs = append(f.deletedSPs, sp)
		f.assignments = slices.DeleteFunc(f.assignments, func(a graph.Assignment) bool { return a.PrincipalID == sp.ObjectID })
		return true
	})
}

func (f *fake) DeleteApplication(ctx context.Context, id string) error {
	return f.ask(ctx, "delete application", true, func() error {
		a, err := f.app(byID(id))
		switch {
		case err != nil && slices.ContainsFunc(f.deletedApps, byID(id)):
			return nil
		case err != nil:
			return err
		}
		gone := *a
		f.apps = slices.DeleteFunc(f.apps, byID(id))
		gone.Deleted = f.clock.Now()
		f.deletedApps = append(f.deletedApps, gone)
		f.bury(gone.AppID)
		return nil
	})
}

func (f *fake) PurgeDeleted(ctx context.Context, id string) error {
	return f.ask(ctx, "purge", true, func() error {
		before := len(f.deletedApps) + len(f.deletedSPs)
		f.deletedApps = slices.DeleteFunc(f.deletedApps, byID(id))
		f.deletedSPs = slices.DeleteFunc(f.deletedSPs, func(sp graph.ServicePrincipal) bool { return sp.ObjectID == id })
		if len(f.deletedApps)+len(f.deletedSPs) == before {
			return missing("deleted item")
		}
		return nil
	})
}

func (f *fake) DeletedServicePrincipals(ctx context.Context) (list []graph.ServicePrincipal, err error) {
	err = f.ask(ctx, "list deleted principals", false, func() error {
		list = slices.Clone(f.deletedSPs)
		return nil
	})
	return list, err
}

func (f *fake) Owners(ctx context.Context, _ string) (o []graph.Owner, err error) {
	err = f.ask(ctx, "owners", false, func() error {
		o = []graph.Owner{{ID: "me", Name: "Admin", UPN: adminUPN}}
		return nil
	})
	return o, err
}

func (f *fake) CreateServicePrincipal(ctx context.Context, appID string, tags []string) (sp graph.ServicePrincipal, err error) {
	err = f.ask(ctx, "create service principal", true, func() error {
		for _, have := range f.principals {
			if have.AppID == appID {
				sp = have
				return nil
			}
		}
		a, err := f.app(func(a graph.Application) bool { return a.AppID == appID })
		if err != nil {
			return &graph.Error{Status: 400, Code: "NoBackingApplicationObject", Message: "The appId does not reference a valid application object."}
		}
		sp = graph.ServicePrincipal{ObjectID: f.id(), AppID: appID, DisplayName: a.DisplayName, Enabled: true, Tags: tags}
		f.principals = append(f.principals, sp)
		return nil
	})
	return sp, err
}

func (f *fake) ServicePrincipal(ctx context.Context, appID string) (sp graph.ServicePrincipal, err error) {
	err = f.ask(ctx, "read service principal", false, func() error {
		for _, have := range f.principals {
			if have.AppID == appID {
				sp = have
				return nil
			}
		}
		return missing(appID)
	})
	return sp, err
}

func (f *fake) DeleteServicePrincipal(ctx context.Context, id string) error {
	return f.ask(ctx, "delete service principal", true, func() error {
		for _, sp := range f.principals {
			if sp.ObjectID == id {
				f.bury(sp.AppID)
				return nil
			}
		}
		if slices.ContainsFunc(f.deletedSPs, func(sp graph.ServicePrincipal) bool { return sp.ObjectID == id }) {
			return nil
		}
		return missing("service principal")
	})
}

func (f *fake) Assignments(ctx context.Context, id string) (list []graph.Assignment, err error) {
	err = f.ask(ctx, "read assignments", false, func() error {
		for _, a := range f.assignments {
			if a.PrincipalID == id {
				list = append(list, a)
			}
		}
		return nil
	})
	return list, err
}

func (f *fake) Assign(ctx context.Context, wanted []graph.Assignment) []error {
	errs := make([]error, len(wanted))
	err := f.ask(ctx, "assign", true, func() error {
		for i, a := range wanted {
			if slices.ContainsFunc(f.principals, func(sp graph.ServicePrincipal) bool {
				return sp.ObjectID == a.ResourceID && slices.Contains(f.denyConsent, sp.AppID)
			}) {
				errs[i] = &graph.Error{Op: "grant a permission", Status: 403, Code: codeDenied, Message: "Insufficient privileges to complete the operation."}
				continue
			}
			if !isGranted(f.of(a.PrincipalID), a.ResourceID, a.RoleID) {
				a.ID = f.id()
				f.assignments = append(f.assignments, a)
			}
		}
		return nil
	})
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

func (f *fake) of(principal string) (list []graph.Assignment) {
	for _, a := range f.assignments {
		if a.PrincipalID == principal {
			list = append(list, a)
		}
	}
	return list
}

func (f *fake) Unassign(ctx context.Context, _, id string) error {
	return f.ask(ctx, "unassign", true, func() error {
		f.assignments = slices.DeleteFunc(f.assignments, func(a graph.Assignment) bool { return a.ID == id })
		return nil
	})
}
