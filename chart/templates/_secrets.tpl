{{/* Which Secrets there are, and who fills them. An answer of "" means no. */}}

{{/* The Secret with the ring of keys; "" where keys are in Redis. */}}
{{- define "auth-service.keysSecret" -}}
{{- if eq .Values.keys.source "secret" -}}
{{- .Values.keys.existingSecret | default (include "auth-service.object" (list . "keys")) -}}
{{- end -}}
{{- end -}}

{{/* The existing Secret of a purpose, or the one that its ExternalSecret makes: (list $ PURPOSE EXISTING). */}}
{{- define "auth-service.givenSecret" -}}
{{- $ := index . 0 -}}{{- $purpose := index . 1 -}}
{{- if and $.Values.externalSecrets.enabled (index $.Values.externalSecrets.remoteKeys $purpose) -}}
{{- include "auth-service.object" (list $ $purpose) -}}
{{- else -}}
{{- index . 2 -}}
{{- end -}}
{{- end -}}

{{- define "auth-service.redisSecret" -}}{{- include "auth-service.givenSecret" (list . "redis" .Values.redis.existingSecret) -}}{{- end -}}
{{- define "auth-service.clientsSecret" -}}{{- include "auth-service.givenSecret" (list . "clients" .Values.clients.existingSecret) -}}{{- end -}}
{{- define "auth-service.kekSecret" -}}{{- include "auth-service.givenSecret" (list . "kek" .Values.keys.kek.existingSecret) -}}{{- end -}}
{{- define "auth-service.adminSecret" -}}{{- include "auth-service.givenSecret" (list . "admin" .Values.admin.existingSecret) -}}{{- end -}}

{{/* The key inside a Secret that an ExternalSecret makes is the value's, as in any other. */}}

{{- define "auth-service.demo" -}}
{{- $others := or (include "auth-service.clientsSecret" .) .Values.clients.config -}}
{{- if and .Values.bootstrap.enabled (ternary (not $others) .Values.demoClient.enabled (kindIs "invalid" .Values.demoClient.enabled)) -}}yes{{- end -}}
{{- end -}}

{{/* The clients that the bootstrap Job makes, as a YAML list of {id, suffix, arguments}. */}}
{{- define "auth-service.madeClients" -}}
{{- if .Values.bootstrap.enabled -}}
{{- if and .Values.tests.enabled (not .Values.tests.existingSecret) }}
- {id: {{ printf "%s-test" (include "auth-service.fullname" .) }}, suffix: test-client, file: made-test.yaml, scopes: [auth-service:test], arguments: []}
{{- end }}
{{- if and .Values.loadTest.enabled (not .Values.loadTest.existingSecret) }}
- {id: {{ printf "%s-load-test" (include "auth-service.fullname" .) }}, suffix: load-test-client, file: made-load-test.yaml, scopes: [auth-service:load-test], arguments: [--rate-limit-per-minute=unlimited, --expires-in={{ .Values.loadTest.clientSeconds | int64 }}]}
{{- end }}
{{- if and .Values.loadTest.enabled (eq .Values.loadTest.scenario "hot-client") (not .Values.loadTest.hotClient.existingSecret) }}
- {id: {{ printf "%s-load-test-hot" (include "auth-service.fullname" .) }}, suffix: load-test-hot-client, file: made-load-test-hot.yaml, scopes: [auth-service:load-test], arguments: [--rate-limit-per-minute={{ .Values.loadTest.hotClient.requestsPerMinute | int64 }}, --expires-in={{ .Values.loadTest.clientSeconds | int64 }}]}
{{- end }}
{{- if include "auth-service.demo" . }}
- {id: demo, suffix: demo-client, file: made-demo.yaml, scopes: {{ toJson .Values.demoClient.scopes }}, arguments: [--access-token-format={{ .Values.demoClient.accessTokenFormat }}]}
{{- end }}
{{- end }}
{{- end -}}

{{- define "auth-service.testSecret" -}}
{{- .Values.tests.existingSecret | default (include "auth-service.object" (list . "test-client")) -}}
{{- end -}}
{{- define "auth-service.loadTestSecret" -}}
{{- .Values.loadTest.existingSecret | default (include "auth-service.object" (list . "load-test-client")) -}}
{{- end -}}

{{- define "auth-service.loadTestHotSecret" -}}
{{- .Values.loadTest.hotClient.existingSecret | default (include "auth-service.object" (list . "load-test-hot-client")) -}}
{{- end -}}

{{/* Whether the bootstrap Job makes the ring. Pods that rotate by themselves make it, too. */}}
{{- define "auth-service.makesRing" -}}
{{- if and .Values.bootstrap.enabled (not .Values.keys.existingSecret) (ne .Values.keys.rotation.mode "inProcess") -}}yes{{- end -}}
{{- end -}}

{{- define "auth-service.ownsKeysSecret" -}}
{{- if and (eq .Values.keys.source "secret") (not .Values.keys.existingSecret) -}}yes{{- end -}}
{{- end -}}

{{/* Whether the service's pods themselves read and write the Secret of the ring. */}}
{{- define "auth-service.podsWriteKeys" -}}
{{- if and (eq .Values.keys.source "secret") (eq .Values.keys.rotation.mode "inProcess") -}}yes{{- end -}}
{{- end -}}

{{/* The names of the Secrets that the bootstrap Job fills, as a YAML list. */}}
{{- define "auth-service.bootstrapSecrets" -}}
{{- range (include "auth-service.madeClients" . | fromYamlArray) }}
- {{ include "auth-service.object" (list $ .suffix) }}
{{- end }}
{{- if and (include "auth-service.makesRing" .) (eq .Values.keys.source "secret") }}
- {{ include "auth-service.keysSecret" . }}
{{- end }}
{{- end -}}

{{- define "auth-service.hasBootstrap" -}}
{{- if or (include "auth-service.madeClients" . | fromYamlArray) (include "auth-service.makesRing" .) -}}yes{{- end -}}
{{- end -}}
