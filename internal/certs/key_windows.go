package certs

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Constants of ncrypt.h and bcrypt.h.
const (
	bcryptPadPKCS1   = 0x2
	bcryptPadPSS     = 0x8
	ncryptSilentFlag = 0x40
)

var (
	ncrypt         = windows.NewLazySystemDLL("ncrypt.dll")
	procSignHash   = ncrypt.NewProc("NCryptSignHash")
	procFreeObject = ncrypt.NewProc("NCryptFreeObject")
	procDeleteKey  = ncrypt.NewProc("NCryptDeleteKey")
)

// BCRYPT_PKCS1_PADDING_INFO
type pkcs1Info struct{ algorithm *uint16 }

// BCRYPT_PSS_PADDING_INFO
type pssInfo struct {
	algorithm *uint16
	salt      uint32
}

// keyHandle is an NCRYPT_KEY_HANDLE; the zero value is none.
type keyHandle struct {
	handle windows.Handle
	owned  bool // ours to free
}

// acquire gives the handle of a certificate's private key without ever showing
// a dialog, because c2conn may run where nobody sees one.
func acquire(c *windows.CertContext) (keyHandle, error) {
	var key keyHandle
	var spec uint32
	err := windows.CryptAcquireCertificatePrivateKey(c,
		windows.CRYPT_ACQUIRE_SILENT_FLAG|windows.CRYPT_ACQUIRE_ONLY_NCRYPT_KEY_FLAG,
		nil, &key.handle, &spec, &key.owned)
	if err != nil {
		return keyHandle{}, fmt.Errorf("Windows does not hand out the private key: %w", err) //nolint:staticcheck // a name
	}
	return key, nil
}

func (k keyHandle) free() {
	if k.handle != 0 && k.owned {
		_, _, _ = procFreeObject.Call(uintptr(k.handle))
	}
}

// destroy deletes the key itself; Windows frees the handle with it.
func (k keyHandle) destroy() error {
	if k.handle == 0 {
		return nil
	}
	status, _, _ := procDeleteKey.Call(uintptr(k.handle), ncryptSilentFlag)
	if status != 0 {
		k.free()
		return windows.Errno(status)
	}
	return nil
}

// windowsKey signs with a private key that stays in the Windows store. It finds
// the key anew for each signature, so that no handle has to be closed by a
// caller; a sign-in makes one signature.
type windowsKey struct {
	thumbprint Thumbprint
	public     crypto.PublicKey
}

// Public implements crypto.Signer.
func (k windowsKey) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer with PKCS #1 v1.5, or PSS for *rsa.PSSOptions.
// Windows brings its own randomness.
func (k windowsKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	public, ok := k.public.(*rsa.PublicKey)
	if !ok {
		return nil, &UnsupportedKeyError{Kind: "other than RSA"}
	}
	p, err := paddingFor(public.Size(), digest, opts)
	if err != nil {
		return nil, err
	}
	var signature []byte
	err = windowsStore{}.withContext(k.thumbprint, windows.CERT_STORE_READONLY_FLAG, func(_ windows.Handle, c *windows.CertContext) error {
		key, err := acquire(c)
		if err != nil {
			return err
		}
		defer key.free()
		signature, err = key.sign(digest, public.Size(), p)
		return err
	})
	return signature, err
}

func (k keyHandle) sign(digest []byte, size int, p padding) ([]byte, error) {
	algorithm, err := windows.UTF16PtrFromString(p.algorithm)
	if err != nil {
		return nil, err
	}
	signature := make([]byte, size)
	var written uint32
	var status uintptr
	// The conversions must stand inside the call, so that nothing is moved before it.
	if p.pss {
		info := pssInfo{algorithm: algorithm, salt: uint32(p.salt)}
		status, _, _ = procSignHash.Call(uintptr(k.handle), uintptr(unsafe.Pointer(&info)),
			uintptr(unsafe.Pointer(&digest[0])), uintptr(len(digest)),
			uintptr(unsafe.Pointer(&signature[0])), uintptr(len(signature)),
			uintptr(unsafe.Pointer(&written)), bcryptPadPSS|ncryptSilentFlag)
	} else {
		info := pkcs1Info{algorithm: algorithm}
		status, _, _ = procSignHash.Call(uintptr(k.handle), uintptr(unsafe.Pointer(&info)),
			uintptr(unsafe.Pointer(&digest[0])), uintptr(len(digest)),
			uintptr(unsafe.Pointer(&signature[0])), uintptr(len(signature)),
			uintptr(unsafe.Pointer(&written)), bcryptPadPKCS1|ncryptSilentFlag)
	}
	if status != 0 {
		return nil, fmt.Errorf("Windows did not sign: %w", windows.Errno(status)) //nolint:staticcheck // a name
	}
	return signature[:written], nil
}
