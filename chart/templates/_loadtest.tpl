{{/* What a run of the load test has in common, whether the chart's Job or k6-operator starts it. */}}

{{- define "auth-service.loadTestAffinity" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "auth-service.selector" (dict "root" $ "component" "service") | nindent 12 }}
{{- end -}}

{{- define "auth-service.loadTestEnv" -}}
{{- $v := .Values.loadTest -}}
- {name: BASE_URL, value: {{ $v.targetUrl | default (include "auth-service.url" .) | quote }}}
- {name: RUN_ID, value: {{ $v.runId | quote }}}
- {name: CLIENT_ID_FILE, value: /client/client-id}
- {name: CLIENT_SECRET_FILE, value: /client/client-secret}
- {name: WAIT_SECONDS, value: {{ $v.waitSeconds | int64 | toString | quote }}}
- {name: REPORT_IN_LOG, value: "on"}
{{- if $v.report.volume }}
- {name: REPORT_DIR, value: /reports}
- {name: REPORT_PREFIX, value: {{ printf "%s-" $v.runId | quote }}}
{{- end }}
{{- with ternary "http://127.0.0.1:9001" $v.calibrationUrl $v.calibration.enabled }}
- {name: CALIBRATION_URL, value: {{ . | quote }}}
{{- end }}
{{- with $v.prometheus.remoteWriteUrl }}
- {name: K6_OUT, value: experimental-prometheus-rw}
- {name: K6_PROMETHEUS_RW_SERVER_URL, value: {{ . | quote }}}
- {name: K6_PROMETHEUS_RW_TREND_STATS, value: {{ join "," $v.prometheus.trendStats | quote }}}
{{- end }}
{{- with $v.env }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{- define "auth-service.loadTestMounts" -}}
- {name: client, mountPath: /client, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if .Values.loadTest.report.volume }}
- {name: reports, mountPath: /reports}
{{- end }}
{{- end -}}

{{- define "auth-service.loadTestVolumes" -}}
- name: client
  secret:
    secretName: {{ include "auth-service.loadTestSecret" . }}
    defaultMode: 0440
    items: [{key: client-id, path: client-id}, {key: client-secret, path: client-secret}]
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- with .Values.loadTest.report.volume }}
- name: reports
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
