// chartrender renders a chart many times in one process, as `helm template` does each time: the tests need hundreds of
// renders, and starting helm for each costs ten times as much.
//
// It reads {"chart": PATH, "jobs": [{"values": {…}, "kubeVersion": "1.34.0", "release": …, "namespace": …}]} from stdin and
// prints a JSON list of {"manifest", "notes", "error"}, one for each job. Hooks are part of the manifest.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

type job struct {
	Values      map[string]any `json:"values"`
	KubeVersion string         `json:"kubeVersion"`
	Release     string         `json:"release"`
	Namespace   string         `json:"namespace"`
}

type result struct {
	Manifest string `json:"manifest"`
	Notes    string `json:"notes"`
	Error    string `json:"error"`
}

func render(path string, job job) result {
	chart, err := loader.Load(path)
	if err != nil {
		return result{Error: err.Error()}
	}
	version, err := chartutil.ParseKubeVersion(job.KubeVersion)
	if err != nil {
		return result{Error: err.Error()}
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.DryRun, install.ClientOnly, install.Replace = true, true, true
	install.KubeVersion, install.ReleaseName, install.Namespace = version, job.Release, job.Namespace
	if job.Values == nil {
		job.Values = map[string]any{}
	}
	release, err := install.Run(chart, job.Values)
	if err != nil {
		return result{Error: err.Error()}
	}
	var text strings.Builder
	text.WriteString(release.Manifest)
	for _, hook := range release.Hooks {
		fmt.Fprintf(&text, "\n---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return result{Manifest: text.String(), Notes: release.Info.Notes}
}

func main() {
	log.SetOutput(io.Discard)
	var input struct {
		Chart string `json:"chart"`
		Jobs  []job  `json:"jobs"`
	}
	decoder := json.NewDecoder(os.Stdin)
	if err := decoder.Decode(&input); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	results := make([]result, len(input.Jobs))
	var group sync.WaitGroup
	slots := make(chan struct{}, 2)
	for index := range input.Jobs {
		group.Add(1)
		slots <- struct{}{}
		go func() {
			defer group.Done()
			results[index] = render(input.Chart, input.Jobs[index])
			<-slots
		}()
	}
	group.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		os.Exit(1)
	}
}
