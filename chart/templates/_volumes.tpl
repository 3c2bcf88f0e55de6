{{/* Volumes. Nothing is mounted by subPath, which kubelet never updates; files are readable for the pod's group alone. */}}

{{/* The sources of the clients' folder, as a YAML list. A source that is not optional keeps the pod from starting until
     its entry is there: that is how pods wait for the bootstrap Job without asking the API server. A lost client of
     the tests must not keep them from starting, unless the folder would be empty without it. */}}
{{- define "auth-service.clientSources" -}}
{{- with include "auth-service.clientsSecret" . }}
- secret: {name: {{ . }}}
{{- end }}
{{- if .Values.clients.config }}
- secret: {name: {{ include "auth-service.object" (list . "configured-clients") }}, items: [{key: clients.yaml, path: configured.yaml}]}
{{- end }}
{{- $others := or (include "auth-service.clientsSecret" .) .Values.clients.config (include "auth-service.demo" .) }}
{{- range (include "auth-service.madeClients" . | fromYamlArray) }}
- secret:
    name: {{ include "auth-service.object" (list $ .suffix) }}
    items: [{key: clients.yaml, path: {{ .file }}}]
    optional: {{ and (ne .suffix "demo-client") (not (empty $others)) }}
{{- end }}
{{- end -}}

{{- define "auth-service.clientVolume" -}}
{{- $sources := include "auth-service.clientSources" . | fromYamlArray -}}
{{- if $sources }}
- name: clients
  projected:
    defaultMode: 0440
    sources:
      {{- toYaml $sources | nindent 6 }}
{{- end }}
{{- end -}}

{{/* What reaching Redis and opening sealed keys needs. */}}
{{- define "auth-service.backendVolumes" -}}
{{- $redis := include "auth-service.redisSecret" . -}}
{{- if and (include "auth-service.usesRedis" .) $redis }}
- name: redis
  secret:
    secretName: {{ $redis }}
    defaultMode: 0440
    items:
      {{- if .Values.redis.secretKeys.url }}
      - {key: {{ .Values.redis.secretKeys.url }}, path: url}
      {{- else }}
      - {key: {{ .Values.redis.secretKeys.password }}, path: password}
      {{- end }}
      {{- with .Values.redis.secretKeys.username }}
      - {key: {{ . }}, path: username}
      {{- end }}
{{- end }}
{{- if and (include "auth-service.usesRedis" .) .Values.redis.tls.existingSecret }}
- name: redis-tls
  secret:
    secretName: {{ .Values.redis.tls.existingSecret }}
    defaultMode: 0440
    items:
      - {key: ca.crt, path: ca.crt}
      {{- if .Values.redis.tls.clientCertificate }}
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
      {{- end }}
{{- end }}
{{- with include "auth-service.kekSecret" . }}
- name: kek
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: {{ $.Values.keys.kek.key }}, path: kek}]
{{- end }}
{{- end -}}

{{- define "auth-service.serviceVolumes" -}}
{{- include "auth-service.clientVolume" . }}
{{- if and (eq .Values.keys.source "secret") (not (include "auth-service.podsWriteKeys" .)) }}
- name: keys
  secret:
    secretName: {{ include "auth-service.keysSecret" . }}
    defaultMode: 0440
    items: [{key: keyring.json, path: keyring.json}]
{{- end }}
{{- include "auth-service.backendVolumes" . }}
{{- with include "auth-service.adminSecret" . }}
- name: admin
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: {{ $.Values.admin.key }}, path: token}]
{{- end }}
{{- with .Values.server.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- end }}
{{- if include "auth-service.podsWriteKeys" . }}
{{- include "auth-service.tokenVolume" . }}
{{- end }}
{{- end -}}

{{/* A token for the API server, for those who need one: short-lived, and mounted where it is looked for. */}}
{{- define "auth-service.tokenVolume" }}
- name: api-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- end -}}

{{/* The mounts of a YAML list of volumes, by their names. */}}
{{- define "auth-service.mounts" -}}
{{- range . }}
{{- if eq .name "api-token" }}
- {name: api-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- else }}
- {name: {{ .name }}, mountPath: /etc/auth-service/{{ .name }}, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}
