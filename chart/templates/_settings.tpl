{{/* From values to the service's settings (docs/configuration.md). */}}

{{- define "auth-service.redisUrl" -}}
{{- if .Values.devRedis.enabled -}}
redis://{{ include "auth-service.object" (list . "redis") }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:6379/0
{{- else -}}
{{- .Values.redis.url -}}
{{- end -}}
{{- end -}}

{{- define "auth-service.usesRedis" -}}
{{- if or (eq .Values.store.type "redis") (eq .Values.keys.source "redis") -}}yes{{- end -}}
{{- end -}}

{{/* How Redis is reached: the same for the pods and for every Job that needs it. */}}
{{- define "auth-service.redisEnv" -}}
{{- if include "auth-service.usesRedis" . }}
{{- $secret := include "auth-service.redisSecret" . -}}
{{- if and $secret .Values.redis.secretKeys.url }}
- {name: REDIS_URL_FILE, value: /etc/auth-service/redis/url}
{{- else }}
- {name: REDIS_URL, value: {{ include "auth-service.redisUrl" . | quote }}}
{{- end }}
{{- if and $secret .Values.redis.secretKeys.username }}
- {name: REDIS_USERNAME_FILE, value: /etc/auth-service/redis/username}
{{- else if .Values.redis.username }}
- {name: REDIS_USERNAME, value: {{ .Values.redis.username | quote }}}
{{- end }}
{{- if and $secret (not .Values.redis.secretKeys.url) }}
- {name: REDIS_PASSWORD_FILE, value: /etc/auth-service/redis/password}
{{- end }}
{{- if .Values.redis.tls.existingSecret }}
- {name: REDIS_CA_FILE, value: /etc/auth-service/redis-tls/ca.crt}
{{- if .Values.redis.tls.clientCertificate }}
- {name: REDIS_CERT_FILE, value: /etc/auth-service/redis-tls/tls.crt}
- {name: REDIS_KEY_FILE, value: /etc/auth-service/redis-tls/tls.key}
{{- end }}
{{- end }}
- {name: REDIS_KEY_PREFIX, value: {{ .Values.redis.keyPrefix | default (printf "%s/%s" .Release.Namespace .Release.Name) | quote }}}
{{- end }}
{{- end -}}

{{/* What the keys are to be like: the same for whoever makes and rotates them. */}}
{{- define "auth-service.keysEnv" -}}
{{- $v := .Values.keys -}}
{{- if include "auth-service.kekSecret" . }}
- {name: KEYS_KEK_FILE, value: /etc/auth-service/kek/kek}
{{- end }}
{{- with $v.algorithms }}
- {name: KEYS_ALGORITHMS, value: {{ join "," . | quote }}}
{{- end }}
{{- include "auth-service.optional" (dict "KEYS_RSA_BITS" $v.rsaBits "JWKS_ROTATION_SECONDS" $v.rotationSeconds "JWKS_RETAIN_SECONDS" $v.retainSeconds
      "JWKS_MAX_AGE_SECONDS" $v.maxAgeSeconds "KEYS_PROPAGATION_SECONDS" $v.propagationSeconds
      "KEY_CLOCK_SKEW_SECONDS" $v.clockSkewSeconds
      "TOKEN_EXPIRY_SECONDS" .Values.tokens.expirySeconds) }}
{{- end -}}

{{/* A dict of names to whole numbers; what is null is left out. YAML's numbers are floats here: 1000000 must not become 1e+06. */}}
{{- define "auth-service.optional" -}}
{{- range $name, $value := . }}
{{- if not (kindIs "invalid" $value) }}
- {name: {{ $name }}, value: {{ $value | int64 | toString | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* (list NAME BOOLEAN-OR-NULL) */}}
{{- define "auth-service.switch" -}}
{{- if not (kindIs "invalid" (index . 1)) }}
- {name: {{ index . 0 }}, value: {{ ternary "on" "off" (index . 1) | quote }}}
{{- end }}
{{- end -}}

{{- define "auth-service.apiKeysSource" -}}
{{- if eq .Values.keys.source "redis" -}}redis:{{- else -}}secret://{{ .Release.Namespace }}/{{ include "auth-service.keysSecret" . }}{{- end -}}
{{- end -}}

{{- define "auth-service.serviceEnv" -}}
{{- $v := .Values }}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- {name: BIND_ADDR, value: {{ printf "%s:8080" $v.server.bindHost | quote }}}
- {name: METRICS_ADDR, value: "[$(POD_IP)]:9464"}
- {name: ADMIN_ADDR, value: "127.0.0.1:9465"}
- {name: EXTERNAL_BASE_URL, value: {{ include "auth-service.issuer" . | quote }}}
{{- if include "auth-service.adminSecret" . }}
- {name: ADMIN_TOKEN_FILE, value: /etc/auth-service/admin/token}
{{- end }}
{{- with $v.server.allowedOrigins }}
- {name: ALLOWED_ORIGINS, value: {{ join "," . | quote }}}
{{- end }}
{{- with $v.server.trustedProxies }}
- {name: TRUSTED_PROXIES, value: {{ join "," . | quote }}}
{{- end }}
{{- with $v.outgoing.allowedNetworks }}
- {name: OUTGOING_ALLOWED_NETWORKS, value: {{ join "," . | quote }}}
{{- end }}
{{- if $v.server.tls.existingSecret }}
- {name: TLS_CERT_FILE, value: /etc/auth-service/tls/tls.crt}
- {name: TLS_KEY_FILE, value: /etc/auth-service/tls/tls.key}
{{- end }}
{{- with $v.metrics.syntheticProbe.intervalSeconds }}
- {name: PROBE_INTERVAL_SECONDS, value: {{ . | toString | quote }}}
{{- end }}
- {name: DRAIN_SECONDS, value: {{ $v.server.drainSeconds | int64 | toString | quote }}}
- {name: LOG_LEVEL, value: {{ $v.logging.level }}}
- {name: LOG_FORMAT, value: {{ $v.logging.format }}}
- {name: AUDIT_LOG, value: {{ $v.logging.audit | quote }}}
{{- with $v.server.requestTimeoutSeconds }}
- {name: REQUEST_TIMEOUT_SECONDS, value: {{ . | toString | quote }}}
{{- end }}
{{- with $v.server.fastPath }}
- {name: FAST_PATH, value: {{ . | quote }}}
{{- end }}
{{- include "auth-service.optional" (dict
      "KEEP_ALIVE_SECONDS" $v.server.keepAliveSeconds
      "MAX_CONNECTIONS" $v.server.maxConnections
      "MAX_CONNECTION_AGE_SECONDS" $v.server.maxConnectionAgeSeconds
      "REFRESH_TOKEN_EXPIRY_SECONDS" $v.tokens.refreshExpirySeconds
      "REFRESH_FAMILY_MAX_SECONDS" $v.tokens.refreshFamilyMaxSeconds
      "REFRESH_REUSE_GRACE_SECONDS" $v.tokens.refreshReuseGraceSeconds
      "RATE_LIMIT_REQUESTS_PER_MINUTE" $v.rateLimit.requestsPerMinute
      "RATE_LIMIT_INTROSPECTIONS_PER_MINUTE" $v.rateLimit.introspectionsPerMinute
      "RATE_LIMIT_FAILURES_PER_MINUTE" $v.rateLimit.failuresPerMinute) }}
{{- with $v.rateLimit.backend }}
- {name: RATE_LIMIT_BACKEND, value: {{ . }}}
{{- end }}
{{- with $v.tracing.endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- include "auth-service.redisEnv" . }}
{{- if eq $v.store.type "redis" }}
- {name: STORE_FALLBACK, value: {{ $v.store.fallback }}}
{{- include "auth-service.switch" (list "STORE_BATCHING" $v.store.batching) }}
{{- include "auth-service.switch" (list "REDIS_ALLOW_EVICTION" $v.redis.allowEviction) }}
{{- if not (kindIs "invalid" $v.store.cache.maxStalenessSeconds) }}
- {name: CACHE_MAX_STALENESS_SECONDS, value: {{ $v.store.cache.maxStalenessSeconds | toString | quote }}}
{{- end }}
{{- include "auth-service.optional" (dict
      "REDIS_WAIT_REPLICAS" $v.redis.waitReplicas
      "CACHE_MAX_ENTRIES" $v.store.cache.maxEntries
      "CACHE_TTL_SECONDS" $v.store.cache.ttlSeconds) }}
{{- end }}
{{- include "auth-service.optional" (dict "MEMORY_STORE_MAX_TOKENS" $v.store.memoryMaxTokens) }}
{{- if include "auth-service.clientSources" . | fromYamlArray }}
- {name: CLIENTS_FILE, value: /etc/auth-service/clients}
{{- end }}
{{- if or (eq $v.keys.source "redis") (include "auth-service.podsWriteKeys" .) }}
- {name: KEYS_SOURCE, value: {{ include "auth-service.apiKeysSource" . | quote }}}
{{- else }}
- {name: KEYS_SOURCE, value: file:///etc/auth-service/keys/keyring.json}
{{- end }}
- {name: KEYS_ROTATION, value: {{ ternary "auto" "off" (eq $v.keys.rotation.mode "inProcess") | quote }}}
{{- include "auth-service.keysEnv" . }}
{{- end -}}
