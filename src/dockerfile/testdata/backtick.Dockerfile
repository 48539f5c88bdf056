# escape=`
FROM x
COPY a c:\dir\
RUN one `

  two
